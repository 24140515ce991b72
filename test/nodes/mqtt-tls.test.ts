import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brokerNode, ingestNode, publishNode, useMqttFlows } from '../mqtt.js';
import { Authority, type Certificate } from '../servers/certificates.js';
import { startOwnMosquitto } from '../servers/mosquitto.js';
import { describeWithServer, freePort } from '../servers/server.js';

const PASSPHRASE = 'open-sesame';

/** A mosquitto with a listener for each certificate that a broker may have. */
async function startTlsBrokers() {
  const authority = await Authority.make();
  const other = await Authority.make();
  const listeners: string[] = [];
  const listen = async (...lines: string[]): Promise<number> => {
    const port = await freePort();
    listeners.push(`listener ${port} 127.0.0.1`, ...lines);
    return port;
  };
  const files = ({ certificate, key }: Certificate): string[] => [`certfile ${certificate}`, `keyfile ${key}`];
  const good = await authority.issue();
  const ports = {
    good: await listen(...files(good)),
    webSocket: await listen('protocol websockets', ...files(good)),
    expired: await listen(...files(await authority.issue({ from: '20200101000000Z', to: '20200201000000Z' }))),
    future: await listen(...files(await authority.issue({ from: '20980101000000Z', to: '20990101000000Z' }))),
    elsewhere: await listen(...files(await authority.issue({ names: 'DNS:broker.example' }))),
    selfSigned: await listen(...files(await authority.selfSigned())),
    asks: await listen(...files(good), `cafile ${authority.certificate}`, 'require_certificate true'),
  };
  const broker = await startOwnMosquitto({ lines: listeners });
  return {
    plain: broker.url,
    url: (listener: keyof typeof ports, host = '127.0.0.1') =>
      `${listener === 'webSocket' ? 'wss' : 'mqtts'}://${host}:${ports[listener]}`,
    ca: authority.certificate,
    otherCa: other.certificate,
    client: await authority.issue(),
    expiredClient: await authority.issue({ from: '20200101000000Z', to: '20200201000000Z' }),
    unknownClient: await other.issue(),
    encrypted: (key: string) => authority.encrypted(key, PASSPHRASE),
    stop: async () => {
      await broker.stop();
      await Promise.all([authority.remove(), other.remove()]);
    },
  };
}

describe('sluice-mqtt-broker over TLS', () => {
  const flows = useMqttFlows();

  describeWithServer('to mosquitto', startTlsBrokers, (server) => {
    const read = (path: string): string => readFileSync(path, 'utf8');
    const oneLine = (path: string): string => read(path).replaceAll('\n', '');

    /** A message goes out and comes in again. */
    async function works(settings: Record<string, unknown>, credentials: Record<string, string> = {}): Promise<void> {
      await flows.load([brokerNode('', settings), ingestNode(), publishNode({ topic: 'device/7' })], {
        broker: credentials,
      });
      await Promise.all([flows.shows('ingest', 'ok'), flows.shows('publish', 'ok')]);
      flows.send('publish', { payload: 1 });
      assert.equal((await flows.arrived('out'))[0]?.payload, 1);
    }

    async function fails(settings: Record<string, unknown>, credentials: Record<string, string> = {}): Promise<string> {
      await flows.load([brokerNode('', settings), ingestNode()], { broker: credentials });
      return flows.shows('ingest', 'error');
    }

    it('takes the CA certificate as a path, as a URL, as text, and as text that has lost its line breaks', async () => {
      const { ca } = server();
      for (const given of [
        ca,
        `file://${ca}`,
        read(ca),
        oneLine(ca),
        read(ca).replaceAll('\n', '\\n'),
        read(ca).replaceAll('\n', ' '),
      ]) {
        await works({ url: server().url('good'), ca: given });
        await flows.unload();
      }
    });

    it('takes one of several CA certificates, and connects by name and over a WebSocket', async () => {
      const ca = read(server().otherCa) + read(server().ca);
      await works({ url: server().url('good', 'localhost'), ca });
      await flows.unload();
      await works({ url: server().url('webSocket'), ca });
    });

    it('says of each wrong certificate of the broker what it is and what to do', async () => {
      const { ca, otherCa, url } = server();
      for (const [settings, sentence] of [
        [{ url: url('expired'), ca }, /^the certificate of the broker has expired: renew it there/],
        [{ url: url('future'), ca }, /^the certificate of the broker is not valid yet: check the clock/],
        [
          { url: url('selfSigned'), ca },
          /^the certificate of the broker is signed by itself: .*make it the CA certificate/,
        ],
        [
          { url: url('good') },
          /^the certificate of the broker is signed by an authority that is not known here: set its CA/,
        ],
        [
          { url: url('good'), ca: otherCa },
          /^the certificate of the broker is (signed by an authority that is not known here|not signed by the CA certificate that is set)/,
        ],
        [
          { url: url('elsewhere'), ca },
          /^the certificate of the broker is not for 127\.0\.0\.1: connect by a name that it has, or set the server name/,
        ],
        [
          { url: url('good'), ca, serverName: 'other.example' },
          /^the certificate of the broker is not for other\.example: connect by a name/,
        ],
        [{ url: url('webSocket') }, /^the certificate of the broker is signed by an authority that is not known here/],
      ] as const) {
        assert.match(await fails(settings), sentence);
        await flows.unload();
      }
    });

    it('verifies the server name that is set, over both transports', async () => {
      await works({ url: server().url('elsewhere'), ca: server().ca, serverName: 'broker.example' });
      await flows.unload();
      assert.match(
        await fails({ url: server().url('webSocket'), ca: server().ca, serverName: 'broker.example' }),
        /is not for broker\.example/,
      );
    });

    it('takes any certificate where verification is off, and warns of it; says other errors all the same', async () => {
      for (const listener of ['expired', 'selfSigned', 'webSocket'] as const) {
        await works({ url: server().url(listener), verify: false });
        assert.match(
          await flows.shows('broker', 'warning'),
          /^connected \(MQTT 5\); whoever answers is taken for the broker: its certificate is not verified$/,
        );
        assert.ok(flows.logged().some((line) => line.startsWith('whoever answers is taken for the broker')));
        await flows.unload();
      }
      assert.match(await fails({ url: 'mqtts://127.0.0.1:1', verify: false }), /^nothing listens at 127\.0\.0\.1:1: /);
    });

    it('shows its own certificate where the broker asks for one: key as a path, as text, behind a passphrase', async () => {
      const { ca, client, url, encrypted } = server();
      const settings = { url: url('asks'), ca, certificate: client.certificate };
      const behind = await encrypted(client.key);
      for (const [certificate, credentials] of [
        [client.certificate, { key: client.key }],
        [oneLine(client.certificate), { key: oneLine(client.key) }],
        [read(client.certificate) + read(ca), { key: read(client.key) }],
        [client.certificate, { key: behind, passphrase: PASSPHRASE }],
        [client.certificate, { key: oneLine(behind), passphrase: PASSPHRASE }],
      ] as const) {
        await works({ ...settings, certificate }, credentials);
        await flows.unload();
      }
    });

    it('says why the broker does not take it', async () => {
      const { ca, expiredClient, unknownClient, url } = server();
      for (const [client, sentence] of [
        [undefined, /^the broker asks for a client certificate: set certificate and key \(/],
        [
          expiredClient,
          /^the broker refuses the client certificate, which has expired \(Feb +1 .* 2020 GMT\): renew it/,
        ],
        [
          unknownClient,
          /^the broker refuses the client certificate: is it signed by an authority that the broker knows\? \(/,
        ],
      ] as const) {
        const text = await fails(
          { url: url('asks'), ca, ...(client !== undefined && { certificate: client.certificate }) },
          client === undefined ? {} : { key: client.key },
        );
        assert.match(text, sentence);
        await flows.unload();
      }
    });

    it('says so where TLS meets a port without it, and the reverse', async () => {
      const { plain, url } = server();
      assert.match(
        await fails({ url: plain.replace('mqtt:', 'mqtts:') }),
        /^what listens at 127\.0\.0\.1:\d+ (does not speak TLS|ended the connection where TLS begins): use the port for it, or mqtt:\/\/ or ws:\/\//,
      );
      await flows.unload();
      assert.match(
        await fails({ url: url('good').replace('mqtts:', 'mqtt:') }),
        /^(what listens at 127\.0\.0\.1:\d+ does not speak MQTT as mqtt:\/\/ is to: check port and scheme|127\.0\.0\.1:\d+ closed the connection without an answer: is it a port for mqtt:\/\/\?)/,
      );
    });

    it('refuses at deploy what is no certificate, no key, or no pair, with the field, and repeats no key', async () => {
      const { ca, client, unknownClient, encrypted } = server();
      const [url, certificate, key] = ['mqtts://127.0.0.1:1', client.certificate, client.key];
      const behind = await encrypted(key);
      const broken = `${key}.broken`;
      writeFileSync(broken, read(key).replace(/\n[^-].{8}/, '\nAAAAAAAA'));
      const secret = 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49';
      for (const [settings, credentials, sentence] of [
        [{ ca: 'ca.pem' }, {}, /^\/ca: expected a text in PEM, or the absolute path of a file, got "ca\.pem"$/],
        [{ ca: '/nowhere/ca.pem' }, {}, /^\/ca: expected a file that can be read, got ENOENT: .*\/nowhere\/ca\.pem/],
        [{ ca: 'file://host/ca.pem' }, {}, /^\/ca: expected file:\/\/\/ and a path, got a URL that names no file/],
        [{ ca: key }, {}, /^\/ca: expected certificates, got a file \(.*\) with a PRIVATE KEY$/],
        [
          { ca: join(import.meta.dirname, '../../package.json') },
          {},
          /^\/ca: expected certificates in PEM .*, got a file \(.*\) without one$/,
        ],
        [
          { ca: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' },
          {},
          /^\/ca: expected certificates, got a text with one that cannot be read/,
        ],
        [{ certificate }, {}, /^\/key: expected the private key of the certificate, got nothing$/],
        [{}, { key }, /^\/certificate: expected the certificate of the key, got nothing$/],
        [
          { certificate },
          { key: unknownClient.key },
          /^\/key: expected the private key of the certificate \(CN=issued-\d+\), got another one$/,
        ],
        [
          { certificate },
          { key: certificate },
          /^\/key: expected a private key in PEM .*, got a file \(.*\) with a CERTIFICATE$/,
        ],
        [
          { certificate },
          { key: secret },
          /^\/key: expected a text in PEM, or the absolute path of a file, got a text that is neither$/,
        ],
        [
          { certificate },
          { key: broken },
          /^\/key: expected a private key, got a file \(.*\) with one that cannot be read$/,
        ],
        [{ certificate }, { key: behind }, /^\/passphrase: expected the passphrase of the key, got nothing$/],
        [
          { certificate },
          { key: behind, passphrase: 'wrong-words' },
          /^\/passphrase: expected the passphrase of the key, got one that does not open it$/,
        ],
        [
          { url: 'mqtt://127.0.0.1:1', ca },
          {},
          /^\/ca: expected a URL with mqtts:\/\/ or wss:\/\/ to use it for, got one without TLS$/,
        ],
        [
          { url: 'ws://127.0.0.1:1', certificate },
          { key },
          /^\/certificate: expected a URL with mqtts:\/\/ or wss:\/\//,
        ],
        [{ serverName: 'a b' }, {}, /^\/serverName: /],
      ] as const) {
        await flows.load([brokerNode(url, settings)], { broker: credentials });
        const prefix = 'sluice-mqtt-broker "sluice-mqtt-broker" ';
        const errors = flows.logged().filter((line) => line.startsWith(prefix));
        assert.equal(errors.length, 1, `${String(sentence)}: ${errors.join('\n')}`);
        assert.match(errors[0]?.slice(prefix.length) ?? '', sentence);
        assert.doesNotMatch(errors[0] ?? '', new RegExp(`${secret}|wrong-words`));
        await flows.unload();
      }
    });
  });
});

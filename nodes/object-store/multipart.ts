import { setTimeout as delay } from 'node:timers/promises';
import type { AbortMultipartUploadCommandInput, PutObjectCommandInput, S3Client } from '@aws-sdk/client-s3';
import { httpStatus } from './s3-errors.js';

type Sdk = typeof import('@aws-sdk/client-s3');

/** Above so many bytes an object goes in parts of so many (S3 takes 5 MiB and more). */
export const PART_BYTES = 8 * 1024 * 1024;
const PARTS_AT_ONCE = 4;
/** For the server to answer what it was asked before it was over: a request that is cut off may still be carried out. */
const GRACE_MS = 2_000;
/** To tell the server that parts are not wanted: the caller waits for it, and may be closing. */
const ABORT_WITHIN_MS = 2_000;
const ABORT_AGAIN_MS = 100;

/**
 * Uploads in parts, of which a failure leaves none on the server. What could not be aborted because the server was away
 * is aborted before the next upload: until then the server keeps, and bills, its parts.
 */
export class MultipartUploads {
  readonly #unfinished = new Set<AbortMultipartUploadCommandInput>();

  /** Resolves when the object is there. Rejects as the SDK does. */
  async upload(client: S3Client, sdk: Sdk, input: PutObjectCommandInput, signal?: AbortSignal): Promise<void> {
    const { Upload } = await import('@aws-sdk/lib-storage');
    for (const upload of this.#unfinished) await this.#abort(client, sdk, upload);
    const failed = new AbortController();
    const over = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
    const cutOff = new AbortController();
    const atOver = (): void => void setTimeout(() => cutOff.abort(over.reason), GRACE_MS).unref();
    over.addEventListener('abort', atOver, { once: true });
    // The library sends through the client alone: so the first failure, and the signal, end what is sent. What is under
    // way ends first: an upload whose id never came, and a part that comes after the abort, would stay.
    const send = async (command: Parameters<S3Client['send']>[0]): Promise<unknown> => {
      if (command instanceof sdk.AbortMultipartUploadCommand) {
        // What went wrong before is the error to tell.
        return this.#abort(client, sdk, command.input).catch(() => undefined);
      }
      try {
        over.throwIfAborted();
        return await client.send(command, { abortSignal: cutOff.signal });
      } catch (error) {
        failed.abort(error);
        throw error;
      }
    };
    const through = Object.create(client, { send: { value: send } }) as S3Client;
    const params = { client: through, params: input, partSize: PART_BYTES, queueSize: PARTS_AT_ONCE };
    try {
      await new Upload({ ...params, leavePartsOnError: false }).done();
    } catch (error) {
      throw failed.signal.aborted ? failed.signal.reason : error; // the first, not the others' end by it
    } finally {
      over.removeEventListener('abort', atOver);
    }
  }

  /**
   * A part that the server still had in hand can come after the abort, or make it fail: "it might be necessary to abort
   * a given multipart upload multiple times" (Amazon S3 API Reference, AbortMultipartUpload).
   *
   * @throws when the server gives no answer: then it stays to be done
   */
  async #abort(client: S3Client, sdk: Sdk, upload: AbortMultipartUploadCommandInput): Promise<void> {
    this.#unfinished.add(upload);
    const abortSignal = AbortSignal.timeout(ABORT_WITHIN_MS);
    /** Whether asking again can help. */
    const ask = async (request: Promise<unknown>): Promise<boolean> => {
      try {
        await request;
        return true;
      } catch (error) {
        const status = httpStatus(error);
        if (status === undefined) throw error;
        return status >= 500; // else unknown (it has ended), or no right to
      }
    };
    const { Bucket, Key, UploadId } = upload;
    const abort = (): Promise<unknown> => client.send(new sdk.AbortMultipartUploadCommand(upload), { abortSignal });
    const look = (): Promise<unknown> =>
      client.send(new sdk.ListPartsCommand({ Bucket, Key, UploadId, MaxParts: 1 }), { abortSignal });
    while ((await ask(abort())) && (await ask(look()))) await delay(ABORT_AGAIN_MS, undefined, { signal: abortSignal });
    this.#unfinished.delete(upload);
  }
}

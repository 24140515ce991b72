import { ConfigError, messageOf } from './errors.js';
import { objectKeyProblem } from './object-key.js';

/** Where objects are stored. */
export type ObjectStoreAddress =
  | { readonly kind: 'folder'; readonly url: URL }
  | {
      readonly kind: 's3';
      readonly bucket: string;
      /** '' or with a / at its end: what each key begins with. */
      readonly prefix: string;
      /** An S3-compatible server; AWS where there is none. */
      readonly endpoint: string | undefined;
      readonly region: string | undefined;
      /** Whether the bucket stands in the path of a request and not in the name of the host. */
      readonly pathStyle: boolean;
    };

const PARAMETERS = ['endpoint', 'region', 'pathStyle'];
/** Amazon S3 User Guide, "Bucket naming rules". */
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/**
 * Reads `file:///dir` or `s3://bucket/prefix?endpoint=&region=&pathStyle=`. Without `pathStyle`, requests to an endpoint
 * carry the bucket in the path, and requests to AWS in the host.
 *
 * @throws ConfigError `object-store-url`; its sentence repeats nothing that may be a secret
 */
export function parseObjectStoreUrl(text: string): ObjectStoreAddress {
  if (!URL.canParse(text)) {
    throw invalid('expected s3://bucket/prefix?endpoint=&region=&pathStyle= or file:///dir', 'a text that is no URL');
  }
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    throw invalid('expected the access key and its secret in their own fields', 'them in the URL');
  }
  if (url.hash !== '') throw invalid('expected a URL without a fragment', 'one with a #');
  if (url.protocol === 'file:') return folderAddress(text, url);
  if (url.protocol === 's3:') return s3Address(url);
  throw invalid('expected s3:// or file:///', `${url.protocol}//`);
}

/** The same as `parseObjectStoreUrl`, for a check: what is wrong, or undefined. */
export function objectStoreUrlProblem(text: string): string | undefined {
  try {
    parseObjectStoreUrl(text);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function folderAddress(text: string, url: URL): ObjectStoreAddress {
  // `file:dir` and `file://dir` read as /dir and as the host dir: neither is what was meant.
  if (!/^file:\/\/\//i.test(text)) throw invalid('expected file:/// and an absolute path', 'fewer than three slashes');
  if (url.search !== '') throw invalid('expected a file URL without parameters', 'one with a ?');
  if (/%2f|%5c|%00/i.test(url.pathname)) throw invalid('expected a path without encoded slashes', 'one with them');
  return { kind: 'folder', url };
}

function s3Address(url: URL): ObjectStoreAddress {
  if (!BUCKET.test(url.host)) {
    throw invalid(
      'expected the name of a bucket after s3:// (3 to 63 of a-z, 0-9, . and -)',
      url.host === '' ? 'nothing' : JSON.stringify(url.host),
    );
  }
  for (const name of url.searchParams.keys()) {
    if (!PARAMETERS.includes(name)) {
      throw invalid('expected no parameters but endpoint, region and pathStyle', JSON.stringify(name));
    }
  }
  const endpoint = url.searchParams.get('endpoint') ?? '';
  const region = url.searchParams.get('region') ?? '';
  const pathStyle = url.searchParams.get('pathStyle') ?? '';
  if (endpoint !== '') checkEndpoint(endpoint);
  if (!/^[a-z0-9-]*$/i.test(region)) throw invalid('expected a region such as eu-central-1', 'other characters');
  if (!['', 'true', 'false'].includes(pathStyle)) throw invalid('expected pathStyle=true or false', 'something else');
  return {
    kind: 's3',
    bucket: url.host,
    prefix: prefixOf(url.pathname),
    endpoint: endpoint === '' ? undefined : endpoint,
    region: region === '' ? undefined : region,
    pathStyle: pathStyle === '' ? endpoint !== '' : pathStyle === 'true',
  };
}

function checkEndpoint(endpoint: string): void {
  const expected = 'expected an endpoint of http:// or https://, host and port';
  if (!URL.canParse(endpoint)) throw invalid(expected, 'a text that is no URL');
  const url = new URL(endpoint);
  if (url.username !== '' || url.password !== '') {
    throw invalid('expected the access key and its secret in their own fields', 'them in the endpoint');
  }
  if (!['http:', 'https:'].includes(url.protocol)) throw invalid(expected, `${url.protocol}//`);
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') throw invalid(expected, 'more than that');
}

function prefixOf(pathname: string): string {
  const path = pathname.replace(/^\//, '').replace(/\/$/, '');
  if (path === '') return '';
  let prefix: string;
  try {
    prefix = decodeURIComponent(path);
  } catch {
    throw invalid('expected a prefix in percent-encoding', 'a % that begins no byte');
  }
  const problem = objectKeyProblem(prefix);
  if (problem !== undefined) throw new ConfigError(`in the prefix: ${problem}`, { code: 'object-store-url' });
  return `${prefix}/`;
}

function invalid(expected: string, got: string): ConfigError {
  return new ConfigError(`${expected}, got ${got}`, { code: 'object-store-url' });
}

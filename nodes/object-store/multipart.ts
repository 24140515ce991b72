import type { AbortMultipartUploadCommandInput, PutObjectCommandInput, S3Client } from '@aws-sdk/client-s3';
import { httpStatus } from './s3-errors.js';

type Sdk = typeof import('@aws-sdk/client-s3');

/** Above so many bytes an object goes in parts of so many (S3 takes 5 MiB and more). */
export const PART_BYTES = 8 * 1024 * 1024;
const PARTS_AT_ONCE = 4;
/** To tell the server that parts are not wanted: the caller waits for it, and may be closing. */
const ABORT_WITHIN_MS = 2_000;

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
    const abortSignal = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
    // The library sends through the client alone: so each request ends with the signal, and with the first that fails.
    const send = async (command: Parameters<S3Client['send']>[0]): Promise<unknown> => {
      if (command instanceof sdk.AbortMultipartUploadCommand) {
        // What went wrong before is the error to tell.
        return this.#abort(client, sdk, command.input).catch(() => undefined);
      }
      return client.send(command, { abortSignal }).catch((error: unknown) => {
        failed.abort(error);
        throw error;
      });
    };
    const through = Object.create(client, { send: { value: send } }) as S3Client;
    const params = { client: through, params: input, partSize: PART_BYTES, queueSize: PARTS_AT_ONCE };
    try {
      await new Upload({ ...params, leavePartsOnError: false }).done();
    } catch (error) {
      throw failed.signal.aborted ? failed.signal.reason : error; // the first, not the others' end by it
    }
  }

  /** @throws when the server gives no answer: then it stays to be done */
  async #abort(client: S3Client, sdk: Sdk, upload: AbortMultipartUploadCommandInput): Promise<void> {
    this.#unfinished.add(upload);
    try {
      const abortSignal = AbortSignal.timeout(ABORT_WITHIN_MS);
      await client.send(new sdk.AbortMultipartUploadCommand(upload), { abortSignal });
    } catch (error) {
      const status = httpStatus(error);
      // Unknown (it has ended) or no right to: asking again does not help.
      if (status === undefined || status >= 500) throw error;
    }
    this.#unfinished.delete(upload);
  }
}

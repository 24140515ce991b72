import { ConfigError, RejectedError } from '../lib/errors.js';
import { compileTemplate } from '../lib/template.js';
import { collectionNameProblem } from '../mongo-connection/collection-name.js';
import type { Config } from './config.js';

export interface CollectionName {
  /** The one collection of a template without fields. */
  readonly fixed: string | undefined;
  /** @throws RejectedError `collection-name`, `too-many-collections` */
  of(scope: () => object): string;
}

/** @throws ConfigError for a template that cannot be read, or a name that no collection of data may have */
export function compileCollectionName({
  collection: text,
  maxCollections,
}: Pick<Config, 'collection' | 'maxCollections'>): CollectionName {
  const template = compileTemplate(text);
  if (template.roots.length === 0) {
    const fixed = template.render({}) ?? '';
    const problem = collectionNameProblem(fixed);
    if (problem === undefined) return { fixed, of: () => fixed };
    throw new ConfigError(`/collection: ${problem}`, { code: 'setting', path: '/collection' });
  }
  const seen = new Set<string>();
  const of = (scope: () => object): string => {
    const name = template.render(scope());
    if (name === undefined) {
      throw new RejectedError(`expected a message with every field of ${text}, got one without`, {
        code: 'collection-name',
      });
    }
    if (seen.has(name)) return name;
    const problem = collectionNameProblem(name);
    if (problem !== undefined) throw new RejectedError(problem, { code: 'collection-name' });
    // Each is a file or two of the server's: who may choose topics must not be able to make them without end.
    if (seen.size >= maxCollections) {
      throw new RejectedError(`expected at most ${maxCollections} collections, got one more: ${JSON.stringify(name)}`, {
        code: 'too-many-collections',
      });
    }
    seen.add(name);
    return name;
  };
  return { fixed: undefined, of };
}

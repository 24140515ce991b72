/** What `find`'s projection, `$project`, `$addFields` and `$unset` make of a document. */
import { Int32 } from 'bson';
import { wholeNumber } from '../bson/numbers.js';
import { isDoc, isNumeric, type Doc, type Value } from '../bson/values.js';
import { CommandError, notImplemented } from '../errors.js';
import { compileExpression, truthy, type Expression } from './expression.js';
import { elementTest } from './filter.js';
import { parsePath, type ValueTest } from './paths.js';

export type Projection = (doc: Doc) => Doc;

/** What is to happen with a field, or with those below it. */
type Rule = Tree | { readonly keep: boolean } | { readonly set: Expression } | ArrayRule;
type Tree = Map<string, Rule>;

/** find's own array operators. */
interface ArrayRule {
  array(value: Value): Value | undefined;
  /** `$elemMatch` keeps its field and drops the others; `$slice` by itself keeps all. */
  readonly includes: boolean;
}

/** @param find whether `$slice` and `$elemMatch` mean find's, which `$project` reads as expressions. */
export function compileProjection(spec: Doc, find: boolean): Projection {
  const tree: Tree = new Map();
  let inclusive: boolean | undefined;
  const decide = (inclusion: boolean, path: string): void => {
    if (inclusive !== undefined && inclusive !== inclusion) {
      const kinds = inclusion ? ['inclusion', 'exclusion'] : ['exclusion', 'inclusion'];
      throw new CommandError(
        inclusion ? 31253 : 31254,
        `Cannot do ${kinds[0] ?? ''} on field ${path} in ${kinds[1] ?? ''} projection`,
      );
    }
    inclusive = inclusion;
  };
  for (const [path, rule] of rulesOf(spec, '', find)) {
    plant(tree, path, rule);
    if ('set' in rule) decide(true, path);
    else if ('array' in rule) {
      if (rule.includes) decide(true, path);
    } else if (path !== '_id') decide(rule.keep, path);
  }
  const id = tree.get('_id');
  inclusive ??= id !== undefined && 'keep' in id && id.keep;
  if (!inclusive) return (doc) => exclude(doc, tree);
  // _id comes along unless it is sent away.
  if (id === undefined) tree.set('_id', { keep: true });
  return (doc) => include(doc, tree, doc);
}

/** `$addFields`: the document, with fields set anew. */
export function compileAddFields(spec: Doc): Projection {
  const tree: Tree = new Map();
  for (const [path, value] of flattened(spec, '')) plant(tree, path, { set: compileExpression(value) });
  return (doc) => addFields(doc, tree, doc);
}

type Leaf = { readonly keep: boolean } | { readonly set: Expression } | ArrayRule;

/** Nested documents stand for dotted paths. */
function* rulesOf(spec: Doc, prefix: string, find: boolean): Generator<[string, Leaf]> {
  for (const [name, value] of spec) {
    const path = prefix + name;
    if (name.startsWith('$'))
      throw new CommandError('FailedToParse', `FieldPath field names may not start with '$': ${path}`);
    if (/(^|\.)\$(\.|$)/.test(path)) throw notImplemented('the positional projection');
    if (typeof value === 'boolean' || isNumeric(value)) yield [path, { keep: truthy(value) }];
    else if (!isDoc(value)) yield [path, { set: compileExpression(value) }];
    else if (value.size === 0) throw new CommandError(51270, 'An empty sub-projection is not a valid value');
    else if (![...value.keys()].some((key) => key.startsWith('$'))) yield* rulesOf(value, `${path}.`, find);
    else yield [path, (find ? arrayRule(value) : undefined) ?? { set: compileExpression(value) }];
  }
}

function* flattened(spec: Doc, prefix: string): Generator<[string, Value]> {
  for (const [name, value] of spec) {
    const nested = isDoc(value) && value.size > 0 && ![...value.keys()].some((key) => key.startsWith('$'));
    if (nested) yield* flattened(value, `${prefix}${name}.`);
    else yield [prefix + name, value];
  }
}

function arrayRule(operators: Doc): ArrayRule | undefined {
  const slice = operators.get('$slice');
  if (slice !== undefined)
    return { array: (value) => (Array.isArray(value) ? sliced(value, slice) : value), includes: false };
  const elemMatch = operators.get('$elemMatch');
  if (elemMatch === undefined) return undefined;
  const test: ValueTest = elementTest(elemMatch);
  return {
    array: (value) => {
      const found = Array.isArray(value) ? value.find(test) : undefined;
      return found === undefined ? undefined : [found];
    },
    includes: true,
  };
}

/** A count from the start, or from the end if negative; or where to start, and a count. */
function sliced(array: Value[], spec: Value): Value[] {
  const [skip, limit] = (Array.isArray(spec) ? spec : [new Int32(0), spec]).map(wholeNumber);
  if (skip === undefined || limit === undefined || (Array.isArray(spec) && (spec.length !== 2 || limit <= 0))) {
    throw new CommandError(28724, '$slice takes a whole number, or an array of two of which the second is positive');
  }
  if (!Array.isArray(spec)) return limit < 0 ? array.slice(limit) : array.slice(0, limit);
  const start = skip < 0 ? Math.max(0, array.length + skip) : skip;
  return array.slice(start, start + limit);
}

function plant(tree: Tree, path: string, rule: Leaf): void {
  const parts = parsePath(path);
  const last = parts.pop() ?? '';
  let branch = tree;
  for (const part of parts) {
    const below = branch.get(part) ?? new Map<string, Rule>();
    if (!(below instanceof Map)) throw new CommandError(31249, `Path collision at ${path}`);
    branch.set(part, below);
    branch = below;
  }
  if (branch.has(last)) throw new CommandError(31250, `Path collision at ${path}`);
  branch.set(last, rule);
}

/** What is kept stays in the order of the document; what is computed follows in the order of the specification. */
function include(doc: Doc, tree: Tree, root: Doc): Doc {
  const result: Doc = new Map();
  for (const [name, value] of doc) {
    const rule = tree.get(name);
    const kept = rule === undefined ? undefined : includedValue(value, rule, root);
    if (kept !== undefined) result.set(name, kept);
  }
  return setComputed(result, tree, root);
}

function includedValue(value: Value, rule: Rule, root: Doc): Value | undefined {
  if (rule instanceof Map) {
    if (isDoc(value)) return include(value, rule, root);
    if (!Array.isArray(value)) return undefined;
    return value.map((element) => includedValue(element, rule, root)).filter((element) => element !== undefined);
  }
  if ('array' in rule) return rule.array(value);
  return 'keep' in rule && rule.keep ? value : undefined;
}

function setComputed(result: Doc, tree: Tree, root: Doc): Doc {
  for (const [name, rule] of tree) {
    if (rule instanceof Map) {
      if (!result.has(name) && computes(rule)) {
        const made = setComputed(new Map(), rule, root);
        if (made.size > 0) result.set(name, made);
      }
    } else if ('set' in rule) {
      const value = rule.set(root);
      if (value !== undefined) result.set(name, value);
    }
  }
  return result;
}

function computes(tree: Tree): boolean {
  return [...tree.values()].some((rule) => (rule instanceof Map ? computes(rule) : 'set' in rule));
}

function exclude(doc: Doc, tree: Tree): Doc {
  const result: Doc = new Map();
  for (const [name, value] of doc) {
    const rule = tree.get(name);
    const kept = rule === undefined ? value : excludedValue(value, rule);
    if (kept !== undefined) result.set(name, kept);
  }
  return result;
}

function excludedValue(value: Value, rule: Rule): Value | undefined {
  if (rule instanceof Map) {
    if (isDoc(value)) return exclude(value, rule);
    return Array.isArray(value) ? value.map((element) => excludedValue(element, rule) ?? null) : value;
  }
  if ('array' in rule) return rule.array(value);
  return 'keep' in rule && rule.keep ? value : undefined;
}

/** A field that is there keeps its place; one that is set to what is missing goes. */
function addFields(doc: Doc, tree: Tree, root: Doc): Doc {
  const result: Doc = new Map(doc);
  for (const [name, rule] of tree) {
    if (rule instanceof Map) result.set(name, addFieldsBelow(result.get(name), rule, root));
    else if ('set' in rule) {
      const value = rule.set(root);
      if (value === undefined) result.delete(name);
      else result.set(name, value);
    }
  }
  return result;
}

function addFieldsBelow(value: Value | undefined, tree: Tree, root: Doc): Value {
  if (Array.isArray(value)) return value.map((element) => addFieldsBelow(element, tree, root));
  return addFields(isDoc(value) ? value : new Map<string, Value>(), tree, root);
}

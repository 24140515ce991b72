/**
 * The errors of MongoDB that this store gives, with the numbers that drivers and programs look at.
 * Source: src/mongo/base/error_codes.yml of the server.
 */
const CODES = {
  InternalError: 1,
  BadValue: 2,
  FailedToParse: 9,
  Unauthorized: 13,
  TypeMismatch: 14,
  InvalidLength: 16,
  ProtocolError: 17,
  AuthenticationFailed: 18,
  IllegalOperation: 20,
  InvalidBSON: 22,
  NamespaceNotFound: 26,
  IndexNotFound: 27,
  PathNotViable: 28,
  ConflictingUpdateOperators: 40,
  CursorNotFound: 43,
  NamespaceExists: 48,
  DollarPrefixedFieldName: 52,
  NotSingleValueField: 54,
  EmptyFieldName: 56,
  CommandNotFound: 59,
  ImmutableField: 66,
  CannotCreateIndex: 67,
  InvalidOptions: 72,
  InvalidNamespace: 73,
  IndexOptionsConflict: 85,
  IndexKeySpecsConflict: 86,
  CursorInUse: 143,
  CannotIndexParallelArrays: 171,
  QueryPlanKilled: 175,
  NotImplemented: 238,
  QueryExceededMemoryLimitNoDiskUseAllowed: 292,
  UnsupportedOpQueryCommand: 352,
  BSONObjectTooLarge: 10334,
  DuplicateKey: 11000,
  OutOfDiskSpace: 14031,
} as const;

export type CodeName = keyof typeof CODES;

/** Thrown when a command, or one item of a write, is refused. It becomes the answer; the connection goes on. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly code: number;
  /** Codes without a name are shown as MongoDB shows them: `Location40415`. */
  readonly codeName: string;

  /** @param details further fields of the answer, such as `keyPattern`. */
  constructor(
    code: CodeName | number,
    message: string,
    readonly details: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
    this.code = typeof code === 'number' ? code : CODES[code];
    this.codeName = typeof code === 'number' ? `Location${code}` : code;
  }
}

/** For what MongoDB has and this store has not: it says so, and never answers approximately. */
export function notImplemented(what: string): CommandError {
  return new CommandError('NotImplemented', `${what} is not implemented by Sluice's embedded document store`);
}

/** Thrown when the store cannot be started or opened: the setting is wrong. The message is for people. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

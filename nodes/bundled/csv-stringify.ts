/** node-csv's writer (RFC 4180). The build puts it into this module: the palette does not depend on it. */
export { stringify } from 'csv-stringify/sync';

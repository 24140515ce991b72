/** Values for a JSON Schema, the same for a seed. The build puts it into this module: the palette does not depend on it. */
export { generateSync } from 'json-schema-faker';

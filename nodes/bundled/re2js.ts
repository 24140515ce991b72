/** RE2 in JavaScript: patterns in linear time. The build puts it into this module: the palette does not depend on it. */
export { RE2JS } from 're2js';

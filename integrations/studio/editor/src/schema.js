// What a JSON Schema says about a place in a document, and the place of a position in its text.
import { syntaxTree } from "@codemirror/language";

const VALUES = ["Object", "Array", "String", "Number", "True", "False", "Null"];

/** The keys and indexes that lead to a node, such as ["API", "SendMessage", "auth", 0]. */
export function pathOf(state, node) {
  const path = [];
  for (let at = node; at; at = at.parent) {
    if (at.name === "Property" && at.firstChild?.name === "PropertyName") path.unshift(nameIn(state, at.firstChild));
    else if (at.parent?.name === "Array" && VALUES.includes(at.name)) path.unshift(0);
  }
  return path;
}

/** The text of a key or of a string, without its quotes. */
export function nameIn(state, node) {
  const raw = state.sliceDoc(node.from, node.to);
  try {
    return JSON.parse(raw);
  } catch {
    return raw.replace(/^"|"$/g, "");
  }
}

export class Schema {
  constructor(root) {
    this.root = root;
  }

  /** Everything that applies to a place: alternatives side by side, references followed. */
  at(path) {
    return path.reduce((found, step) => found.flatMap((item) => this.#step(item, step)), this.#all(this.root));
  }

  /** The keys of the objects that are allowed at a place, with their schemas. */
  keys(path) {
    const found = new Map();
    for (const item of this.at(path)) {
      for (const [key, value] of Object.entries(item.properties || {})) if (!found.has(key)) found.set(key, value);
    }
    return found;
  }

  /** The words that are allowed at a place, with what each means. */
  words(path) {
    const found = new Map();
    for (const item of this.at(path)) {
      if ("const" in item) found.set(item.const, item.description || "");
      for (const [index, word] of (item.enum || []).entries()) if (!found.has(word)) found.set(word, item.enumDescriptions?.[index] || "");
      if (item.type === "boolean") for (const word of [true, false]) found.set(word, "");
    }
    return found;
  }

  /** The first description of a place. */
  description(path) {
    if (!path.length) return this.root.description || "";
    const key = path[path.length - 1];
    const given = this.keys(path.slice(0, -1)).get(key)?.description;
    return given || this.at(path).map((item) => item.description).find(Boolean) || "";
  }

  /** What placeholders may name at a place, each with what it means. */
  variables(path) {
    const { places = {}, variables = {} } = this.root["x-patchbay"] || {};
    let place = null;
    for (let end = 1; end <= path.length; end++) {
      const named = this.keys(path.slice(0, end - 1)).get(path[end - 1]);
      for (const item of [...this.#all(named), ...this.at(path.slice(0, end))]) place = item["x-patchbay"]?.place || place;
    }
    const groups = place in places ? [...(places[place].reads || []), ...(places[place].binds || [])] : Object.keys(variables);
    return new Map(groups.flatMap((group) => Object.entries(variables[group] || {})));
  }

  /** The filters by name, each with its usage and what it does. */
  get filters() {
    return this.root["x-patchbay"]?.filters || {};
  }

  /** How a value of a schema begins: an object, a list, a text, or nothing. */
  opening(schema) {
    const kinds = new Set(this.#all(schema).map((item) => item.type || (item.properties ? "object" : "")));
    if (kinds.has("string")) return '""';
    if (kinds.has("object")) return "{}";
    return kinds.has("array") ? "[]" : "";
  }

  #all(schema, seen = new Set()) {
    if (!schema || typeof schema !== "object" || seen.has(schema)) return [];
    seen.add(schema);
    const found = [schema];
    if (schema.$ref) found.push(...this.#all(this.#resolve(schema.$ref), seen));
    for (const kind of ["anyOf", "oneOf", "allOf"]) for (const item of schema[kind] || []) found.push(...this.#all(item, seen));
    for (const item of [schema.then, schema.else]) found.push(...this.#all(item, seen));
    return found;
  }

  #step(schema, step) {
    if (typeof step === "number") return Array.isArray(schema.items) ? schema.items.flatMap((item) => this.#all(item)) : this.#all(schema.items);
    const named = schema.properties && Object.hasOwn(schema.properties, step) ? schema.properties[step] : null;
    if (named) return this.#all(named);
    for (const [pattern, item] of Object.entries(schema.patternProperties || {})) {
      if (new RegExp(pattern, "u").test(step)) return this.#all(item);
    }
    return this.#all(schema.additionalProperties);
  }

  #resolve(reference) {
    return reference.replace(/^#\/?/, "").split("/").filter(Boolean).reduce((at, step) => at?.[step.replaceAll("~1", "/").replaceAll("~0", "~")], this.root);
  }
}

/** The nearest value, key or container at a position. */
export function nodeAt(state, position, side = -1) {
  return syntaxTree(state).resolveInner(position, side);
}

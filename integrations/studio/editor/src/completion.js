// Completion and help: keys and words from the schema, variables, properties, filters and tables in placeholders.
import { hoverTooltip } from "@codemirror/view";
import { nameIn, nodeAt, pathOf } from "./schema.js";
import { openPlaceholder, placeholdersIn } from "./placeholders.js";

/** Completes keys, words and placeholders. */
export function completionFrom(schema, phrases) {
  return (context) => {
    const { state, pos } = context;
    const node = nodeAt(state, pos);
    if (node.name === "String") return inText(state, node, pos) || words(state, node, pos);
    const inKey = node.name === "PropertyName";
    if (inKey || node.name === "Object" || (node.name === "⚠" && node.parent?.name === "Object") || node.name === "{") {
      if (!inKey && !context.explicit && !/[{,]\s*$/.test(state.sliceDoc(Math.max(0, pos - 200), pos))) return null;
      return keys(state, node, pos, inKey);
    }
    if (context.explicit || /:\s*$/.test(state.sliceDoc(Math.max(0, pos - 20), pos))) return values(state, node, pos);
    return null;
  };

  function keys(state, node, pos, inKey) {
    let object = node;
    while (object && object.name !== "Object") object = object.parent;
    if (!object) return null;
    const taken = new Set(object.getChildren("Property").filter((item) => !(item.from <= pos && pos <= item.to)).map((item) => nameIn(state, item.firstChild)));
    const whole = inKey && state.sliceDoc(node.to, node.to + 20).match(/^\s*:/);
    const options = [...schema.keys(pathOf(state, object))].filter(([key]) => !taken.has(key)).map(([key, value]) => ({
      label: `"${key}"`, displayLabel: key, type: "property", info: shownInfo(value.description || schema.description([...pathOf(state, object), key])),
      apply: (view, _completion, from, to) => {
        const opening = whole ? "" : `: ${schema.opening(value)}`;
        const text = `"${key}"${opening}`;
        const inside = /["}\]]$/.test(opening) ? 1 : 0;
        view.dispatch({ changes: { from, to, insert: text }, selection: { anchor: from + text.length - inside }, userEvent: "input.complete" });
      },
    }));
    return { from: inKey ? node.from : pos, to: inKey ? node.to : pos, options, validFor: /^"?[\w.-]*"?$/ };
  }

  function words(state, node, pos) {
    const options = [...schema.words(pathOf(state, node))].filter(([word]) => typeof word === "string").map(([word, info]) => ({ label: word, type: "enum", info: shownInfo(info) }));
    return options.length ? { from: node.from + 1, to: Math.max(pos, node.to - 1), options } : null;
  }

  function values(state, node, pos) {
    const path = pathOf(state, node);
    const options = [...schema.words(path)].map(([word, info]) => ({ label: JSON.stringify(word), type: "enum", info: shownInfo(info) }));
    return options.length ? { from: pos, options } : null;
  }

  function inText(state, node, pos) {
    const open = openPlaceholder(state.sliceDoc(node.from, node.to), pos - node.from);
    if (!open) return null;
    const begin = node.from + open.start + 1;
    const bar = open.inside.lastIndexOf("|");
    if (bar < 0) {
      const from = begin;
      const options = [
        ...propertiesIn(state).map((label) => ({ label, type: "constant", detail: phrases.property, boost: 1 })),
        ...[...schema.variables(pathOf(state, node))].map(([label, info]) => ({ label, type: "variable", info: shownInfo(info) })),
      ].map(closing(state));
      return { from, options, validFor: /^[^$|"]*$/ };
    }
    const written = open.inside.slice(bar + 1);
    const argument = written.match(/^map:'?/);
    if (argument) {
      const from = begin + bar + 1 + argument[0].length;
      return { from, options: tablesIn(state).map((label) => ({ label, type: "constant", detail: phrases.table })), validFor: /^[^'$|"]*$/ };
    }
    if (written.includes(":")) return null;
    const options = Object.entries(schema.filters).map(([label, filter]) => ({ label, type: "function", detail: filter.usage.slice(label.length), info: shownInfo(filter.description) })).map(closing(state));
    return { from: begin + bar + 1, options, validFor: /^\w*$/ };
  }

  /** Closes the placeholder as well, unless it is closed already. */
  function closing(state) {
    return (option) => ({
      ...option,
      apply: (view, _completion, from, to) => {
        const needed = !/^[^"$]*\$/.test(view.state.sliceDoc(to, to + 200)) && !option.detail?.startsWith(":");
        view.dispatch({ changes: { from, to, insert: option.label + (needed ? "$" : "") }, selection: { anchor: from + option.label.length + (needed ? 1 : 0) }, userEvent: "input.complete" });
      },
    });
  }
}

/** Says what a key, a word or a part of a placeholder means. */
export function helpFrom(schema, phrases) {
  return hoverTooltip((view, pos, side) => {
    const node = nodeAt(view.state, pos, side);
    const found = explained(view.state, node, pos, schema, phrases);
    if (!found) return null;
    return { pos: found.from, end: found.to, above: true, create: () => ({ dom: helpBox(found) }) };
  });
}

function explained(state, node, pos, schema, phrases) {
  if (node.name === "PropertyName") {
    const path = pathOf(state, node.parent);
    const text = schema.description(path);
    return text ? { from: node.from, to: node.to, title: path[path.length - 1], text } : null;
  }
  if (node.name !== "String") return null;
  for (const item of placeholdersIn(state.sliceDoc(node.from, node.to))) {
    const from = node.from + item.from, to = node.from + item.to;
    if (pos < from || pos > to) continue;
    let at = from + 1;
    for (const [index, part] of item.inside.split("|").entries()) {
      if (pos <= at + part.length) {
        const name = index ? part.split(":")[0] : part.split(/[.[?]/)[0];
        const filter = index ? schema.filters[name] : null;
        const text = index ? filter?.description : schema.variables(pathOf(state, node)).get(name) || (propertiesIn(state).includes(name) ? phrases.property : "");
        return text ? { from: at, to: at + part.length, title: filter ? filter.usage : name, text } : null;
      }
      at += part.length + 1;
    }
  }
  const word = nameIn(state, node);
  const text = schema.words(pathOf(state, node)).get(word);
  return text ? { from: node.from, to: node.to, title: word, text } : null;
}

function helpBox({ title, text }) {
  const box = document.createElement("div"), head = document.createElement("code");
  box.className = "cm-help";
  head.textContent = title;
  box.append(head, paragraph(text));
  return box;
}

function shownInfo(text) {
  return text ? () => paragraph(text) : undefined;
}

/** A text in which what stands between backticks is code. */
function paragraph(text) {
  const body = document.createElement("p");
  for (const [index, part] of text.split("`").entries()) {
    const piece = index % 2 ? document.createElement("code") : document.createTextNode(part);
    if (index % 2) piece.textContent = part;
    body.append(piece);
  }
  return body;
}

/** The labels of the document's own properties, also while it is not valid JSON. */
export function propertiesIn(state) {
  const found = [];
  for (const item of section(state, "properties")) {
    const named = item.name === "String" ? item : item.name === "Object" && member(state, item, "name");
    if (named) found.push(nameIn(state, named));
  }
  return found;
}

/** The names of the document's tables. */
export function tablesIn(state) {
  const tables = top(state, "tables");
  return tables?.name === "Object" ? tables.getChildren("Property").map((item) => nameIn(state, item.firstChild)) : [];
}

function section(state, key) {
  const list = top(state, key), found = [];
  for (let item = list?.name === "Array" ? list.firstChild : null; item; item = item.nextSibling) found.push(item);
  return found;
}

function top(state, key) {
  const root = nodeAt(state, 0, 1);
  let document = root;
  while (document.parent) document = document.parent;
  return document.firstChild ? member(state, document.firstChild, key) : null;
}

function member(state, object, key) {
  const found = object.getChildren("Property").find((item) => item.firstChild && nameIn(state, item.firstChild) === key);
  return found?.lastChild && found.lastChild !== found.firstChild ? found.lastChild : null;
}

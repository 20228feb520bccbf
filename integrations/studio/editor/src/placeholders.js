// Placeholders such as $to|digits$ in the texts of a document.
import { Decoration, ViewPlugin } from "@codemirror/view";
import { syntaxTree } from "@codemirror/language";

const PLACEHOLDER = /\$\$|\$[^$\n"]+\$/g;

/** The placeholder at a position of a text: its start and what it says so far; null outside of one. */
export function openPlaceholder(text, position) {
  let start = -1;
  for (let at = 0; at < position; at++) {
    if (text[at] !== "$") continue;
    if (start < 0 && text[at + 1] === "$" && at + 1 < position) at++;
    else start = start < 0 ? at : -1;
  }
  return start < 0 ? null : { start, inside: text.slice(start + 1, position) };
}

/** What is complete in a text: [{from, to, name, filters}], by position. */
export function placeholdersIn(text) {
  return [...text.matchAll(PLACEHOLDER)].filter((found) => found[0] !== "$$").map((found) => ({
    from: found.index, to: found.index + found[0].length, inside: found[0].slice(1, -1),
  }));
}

const name = Decoration.mark({ class: "cm-placeholder" });
const filter = Decoration.mark({ class: "cm-placeholder cm-filter" });

export const placeholderColors = ViewPlugin.fromClass(class {
  constructor(view) {
    this.decorations = colors(view);
  }

  update(update) {
    if (update.docChanged || update.viewportChanged || syntaxTree(update.startState) !== syntaxTree(update.state)) {
      this.decorations = colors(update.view);
    }
  }
}, { decorations: (plugin) => plugin.decorations });

function colors(view) {
  const marks = [];
  for (const { from, to } of view.visibleRanges) {
    syntaxTree(view.state).iterate({ from, to, enter: (node) => {
      if (node.name !== "String" && node.name !== "PropertyName") return;
      const text = view.state.sliceDoc(node.from, node.to);
      for (const found of placeholdersIn(text)) {
        const bar = found.inside.indexOf("|");
        const middle = bar < 0 ? found.to : found.from + 1 + bar;
        marks.push(name.range(node.from + found.from, node.from + middle));
        if (bar >= 0) marks.push(filter.range(node.from + middle, node.from + found.to));
      }
    } });
  }
  return Decoration.set(marks, true);
}

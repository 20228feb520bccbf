// The editor of template documents: a text area with data-check becomes CodeMirror; without JavaScript it stays one.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import { HighlightStyle, bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { forceLinting, lintGutter, lintKeymap, linter, openLintPanel } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { EditorState } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { completionFrom, helpFrom } from "./completion.js";
import { placeholderColors } from "./placeholders.js";
import { Schema } from "./schema.js";

const colors = HighlightStyle.define([
  { tag: tags.propertyName, class: "cm-key" },
  { tag: tags.string, class: "cm-text" },
  { tag: [tags.number, tags.bool, tags.null], class: "cm-literal" },
]);

/** The problems that the server finds, at their places, each with its mend. */
function problemsFrom(area) {
  return linter(async (view) => {
    const source = view.state.doc;
    const body = new FormData();
    body.set("source", source.toString());
    body.set("csrfmiddlewaretoken", document.querySelector("[name=csrfmiddlewaretoken]")?.value || "");
    const answer = await fetch(area.dataset.check, { method: "POST", body, headers: { Accept: "application/json" } }).catch(() => null);
    if (!answer?.ok) return [];
    const { problems } = await answer.json();
    area.dispatchEvent(new CustomEvent("checked", { bubbles: true, detail: problems }));
    return problems.map((problem) => shown(problem, source, area)).filter(Boolean);
  }, { delay: 300 });
}

function shown(problem, source, area) {
  const from = offset(source, problem.line, problem.column);
  if (from > source.length) return null;
  const to = Math.min(source.length, problem.end ? offset(source, problem.end.line, problem.end.column) : source.lineAt(from).to);
  const actions = problem.mend == null ? [] : [{
    name: area.dataset.mend.replace("…", problem.mend),
    apply: (view, start, end) => view.dispatch({ changes: { from: start, to: end, insert: problem.mend }, userEvent: "input.mend" }),
  }];
  const message = [problem.reason, problem.suggestion].filter(Boolean).join(" ");
  return { from, to: Math.max(from, to), severity: problem.severity, message, actions };
}

/** The position of a line and a column, which counts characters and not UTF-16 units. */
function offset(source, line, column) {
  const found = source.line(Math.min(Math.max(1, line || 1), source.lines));
  let units = 0;
  for (const character of found.text) {
    if (--column < 1) break;
    units += character.length;
  }
  return found.from + units;
}

function attach(area, schema) {
  const words = JSON.parse(area.dataset.words || "{}");
  const phrases = JSON.parse(area.dataset.phrases || "{}");
  const view = new EditorView({
    doc: area.value,
    extensions: [
      lineNumbers(), foldGutter(), history(), drawSelection(), indentUnit.of("  "), indentOnInput(), bracketMatching(), closeBrackets(),
      highlightActiveLine(), highlightActiveLineGutter(), highlightSelectionMatches(), syntaxHighlighting(colors), placeholderColors,
      json(), autocompletion({ override: [completionFrom(schema, words)], icons: false }), helpFrom(schema, words),
      area.readOnly ? [EditorState.readOnly.of(true), EditorView.editable.of(false)] : [lintGutter(), problemsFrom(area)],
      EditorState.phrases.of(phrases), EditorView.lineWrapping, EditorView.editorAttributes.of({ class: "pb-editor" }),
      EditorView.darkTheme.of(document.documentElement.classList.contains("dark")),
      keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...completionKeymap, ...lintKeymap, indentWithTab]),
      EditorView.contentAttributes.of({ tabindex: "0", "aria-label": area.dataset.label || area.labels?.[0]?.textContent.trim() || "" }),
      EditorView.updateListener.of((update) => update.docChanged && keep()),
    ],
  });
  let waiting = 0;
  const store = () => {
    waiting = 0;
    area.value = view.state.doc.toString();
    area.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const keep = () => (waiting = waiting || window.setTimeout(store, 300));
  area.form?.addEventListener("submit", () => (area.value = view.state.doc.toString()), { capture: true });
  area.form?.addEventListener("formdata", (event) => event.formData.set(area.name, view.state.doc.toString()));
  area.hidden = true;
  area.before(view.dom);
  area.editor = {
    text: () => view.state.doc.toString(),
    replace: (text) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } }),
    goTo: (line, column) => {
      const at = offset(view.state.doc, line, column);
      view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "center" }) });
      view.focus();
    },
    check: () => forceLinting(view),
    list: () => openLintPanel(view),
  };
  return view;
}

const schemas = new Map();
async function start() {
  for (const area of document.querySelectorAll("textarea[data-editor]")) {
    if (area.editor) continue;
    area.editor = {};
    const url = area.dataset.schema;
    if (!schemas.has(url)) schemas.set(url, fetch(url).then((answer) => answer.json()));
    const found = await schemas.get(url).catch(() => ({}));
    attach(area, new Schema(found));
  }
}
document.addEventListener("DOMContentLoaded", start);
document.addEventListener("htmx:load", start);
if (document.readyState !== "loading") start();

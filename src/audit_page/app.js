// The page for auditors: who reads, in which language, and which view.

import * as api from "./api.js";
import * as checkpoint from "./checkpoint.js";
import { announce, button, fill, h, labelled, loading, short } from "./dom.js";
import * as events from "./events.js";
import * as files from "./files.js";
import * as record from "./record.js";
import { failed } from "./verdict.js";
import { choose, current, t, word } from "./words.js";

/** @typedef {{ types: string[], token: string | null }} Setup */
/** @typedef {{ account: string, grants: { role: string, unit: string | null }[] }} Me */

const VIEWS = ["events", "checkpoint", "files"];

/** @type {Setup} */
let setup = { types: [], token: null };
/** @type {Me | null} */
let me = null;
/** @type {unknown} Why nobody is known. */
let refusal = null;
/** False until the page has asked who reads: a token that the tab has is not asked for. */
let isReady = false;

/** @param {string} id */
const part = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** The view's name, what stands behind it, and its query. */
function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, id = ""] = path.split("/");
  return { name: name || "events", id, query: new URLSearchParams(query) };
}

async function identify() {
  me = null;
  refusal = null;
  if (!api.token()) return;
  try {
    me = await api.json("/v1/me");
  } catch (error) {
    refusal = error;
  }
}

/** @param {string} token */
async function enter(token) {
  api.setToken(token);
  api.forgetNames();
  await identify();
  drawHeader();
  await drawView(false);
  if (me) part("view").querySelector("h1")?.focus();
}

async function forget() {
  api.setToken("");
  me = null;
  refusal = null;
  api.forgetNames();
  drawHeader();
  await drawView(false);
  announce(t("token.forgotten"));
  document.getElementById("token")?.focus();
}

/** @param {"vi" | "en"} language */
async function speak(language) {
  choose(language);
  // Names and faults come in the page's language.
  if (refusal) await identify();
  draw();
  await drawView(false);
  document.getElementById(`speak-${language}`)?.focus();
}

/** Everything around the view. */
function draw() {
  document.documentElement.lang = current();
  document.title = `${t("title")} · thidua`;
  fill(part("skip"), t("skip"));
  const languages = /** @type {const} */ ([["vi", "Tiếng Việt"], ["en", "English"]]);
  fill(part("brand"), h("a", { href: "#/events", class: "name" }, "thidua"), h("span", null, h("strong", null, t("title")), h("span", { class: "note" }, t("lead"))));
  fill(part("languages"), h("div", { role: "group", "aria-label": t("language"), class: "languages" }, languages.map(([code, name]) =>
    h("button", { type: "button", id: `speak-${code}`, lang: code, "aria-pressed": String(code === current()), onclick: () => speak(code) }, name))));
  drawHeader();
}

/** Who reads, and where to. */
function drawHeader() {
  const { name } = route();
  part("pages").setAttribute("aria-label", t("pages"));
  const active = name === "record" ? "events" : name;
  fill(part("pages"), VIEWS.map((view) => h("a", { href: `#/${view}`, "aria-current": view === active ? "page" : undefined }, t(view))),
    h("a", { href: "/docs", class: "aside" }, t("contract")));
  fill(part("reader"), !isReady ? loading() : me ? known(me) : unknown());
  part("reader").setAttribute("aria-label", t("who"));
}

/** @param {Me} reader */
function known({ account, grants }) {
  const roles = grants.map(({ role, unit }) => {
    const said = h("span", null, t(unit ? "me.within" : "me.everywhere", { role: word("role", role), unit: unit ? short(unit) : "" }));
    if (unit) api.unitName(unit).then((name) => fill(said, t("me.within", { role: word("role", role), unit: name })));
    return said;
  });
  const separated = roles.flatMap((role, place) => (place > 0 ? ["; ", role] : [role]));
  return h("div", { class: "known" },
    h("span", { title: account }, t("me", { account: short(account), roles: "" }), separated.length > 0 ? separated : t("me.none")),
    setup.token !== null && api.token() === setup.token && h("span", { class: "note" }, t("token.demo")),
    button(t("token.forget"), forget, { class: "small" }));
}

function unknown() {
  const field = /** @type {HTMLInputElement} */ (h("input", { id: "token", type: "password", required: true, autocomplete: "off", spellcheck: "false" }));
  if (setup.token && !api.token()) field.value = setup.token;
  const onsubmit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    void enter(field.value.trim());
  };
  return h("form", { onsubmit, class: "enter" },
    labelled(t("token"), field, t("token.hint")),
    h("p", { class: "actions" }, h("button", { type: "submit", class: "main" }, t("token.use"))),
    refusal ? failed(refusal) : null);
}

/** @param {boolean} isMove true if the reader went there */
async function drawView(isMove) {
  const { name, id, query } = route();
  // Each drawing has an element of its own: what comes late is drawn where nobody looks.
  const view = h("div", { id: "view" });
  part("view").replaceWith(view);
  const context = { types: setup.types, account: me?.account ?? "" };
  if (name === "checkpoint") await moved(view, isMove, checkpoint.render(view));
  else if (name === "files") await moved(view, isMove, files.render(view));
  else if (name !== "events" && name !== "record") fill(view, h("h1", { tabindex: "-1" }, t("not.found")));
  else if (!me) fill(view, h("h1", { tabindex: "-1" }, t(name)), h("p", { class: "empty" }, t("token.needed")));
  else if (name === "record") await moved(view, isMove, record.render(view, id, context));
  else await moved(view, isMove, events.render(view, query, context));
}

/**
 * Who went to another view is read its heading.
 * @param {HTMLElement} view
 * @param {boolean} isMove
 * @param {Promise<void> | void} drawing
 */
async function moved(view, isMove, drawing) {
  if (isMove) {
    view.querySelector("h1")?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  await drawing;
}

/** A file that misses its place is not opened in place of the page. */
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());

addEventListener("hashchange", () => {
  drawHeader();
  void drawView(true);
});
part("skip").addEventListener("click", (event) => {
  event.preventDefault();
  part("view").querySelector("h1")?.focus();
});

draw();
try {
  setup = await api.json("/audit/setup.json");
} catch (error) {
  refusal = error;
}
// In a demonstration the page authorises itself, as the documentation does.
if (!api.token() && setup.token) api.setToken(setup.token);
await identify();
isReady = true;
drawHeader();
await drawView(false);

// Keys press the buttons that are there anyway, and a form whose server does not answer keeps the page as it is.
import { onKeys, sendForms } from "./acts.js";

const find = (selector) => document.querySelector(selector);
history.scrollRestoration = "manual";  // each pair is read from its beginning

const toggle = (details) => {
  details.open = !details.open;
  return details.open;
};

const openNote = () => {
  const note = find("details.note");
  note.open = true;
  note.querySelector("textarea").focus();
};

const showAll = () => {
  const all = [...document.querySelectorAll("details.whole")];
  const open = all.some((details) => !details.open);
  all.forEach((details) => { details.open = open; });
};

onKeys("0123suna?", (key) => {
  if ("0123".includes(key)) return find(`#grades button[value="${key}"]`)?.click();
  if (key === "a") return showAll();
  const target = find(`[data-key="${CSS.escape(key)}"]`);
  if (!target) return undefined;
  if (key === "n") return openNote();
  if (key === "?") {
    if (toggle(target.parentElement)) target.focus();
    target.scrollIntoView({ block: "nearest" });
    return undefined;
  }
  return target.click();
});

// what cannot be sent is said here, and the pair stays; what was sent leads to the next page
sendForms("form[data-act]", () => { location.replace("/"); return true; },
  "The page's server does not answer, so this was not kept. Start it again with the same command, then give it again.");

// a page out of the browser's memory may show a pair that was graded since
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

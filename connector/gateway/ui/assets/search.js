// Keys go from hit to hit and press the buttons that are there anyway; a document that is pointed at is lit in every
// column. Without this script all of the page works by mouse and Tab.
import { onKeys, sendForms, unsay } from "./acts.js";

const hits = [...document.querySelectorAll(".hit")];

const current = () => document.activeElement?.closest(".hit");

const go = (step) => {
  const at = hits.indexOf(current());
  const next = hits[at < 0 ? (step > 0 ? 0 : hits.length - 1) : Math.min(Math.max(at + step, 0), hits.length - 1)];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
};

onKeys("/jke?0123", (key) => {
  if (key === "/") return document.querySelector("#q").focus();
  if (key === "j" || key === "k") return go(key === "j" ? 1 : -1);
  if (key === "?") return document.querySelector("[data-key='?']").click();
  const hit = current() ?? hits[0];
  if (key === "e") return hit?.querySelector(".why summary")?.click();
  return (hit?.querySelector(`button[value="${key}"]`) ?? document.querySelector("a.who"))?.click();
});

// a grade is kept without the page being drawn anew; what cannot be kept is said
sendForms("form.grades", (form, pressed) => {
  form.querySelectorAll("button").forEach((button) => {
    button.setAttribute("aria-pressed", String(button === pressed));
  });
  unsay();
  if (form.closest(".hit") !== hits.at(-1)) {
    form.closest(".hit").focus();
    go(1);
  }
}, "The page's server does not answer, so this grade was not kept. Give it again when it is back.");

const light = (event) => {
  const found = event.target.closest?.(".chart [data-doc], .hit")?.dataset.doc;
  document.querySelectorAll(".chart [data-doc]").forEach((place) => {
    place.classList.toggle("lit", place.dataset.doc === found);
  });
};
document.addEventListener("mouseover", light);
document.addEventListener("focusin", light);

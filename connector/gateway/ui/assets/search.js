// Keys go from hit to hit and press the buttons that are there anyway; a document that is pointed at is lit in every
// column. Without this script all of the page works by mouse and Tab.
"use strict";
(() => {
  const hits = [...document.querySelectorAll(".hit")];
  const alertLine = document.querySelector(".alert");
  let isSending = false;

  const current = () => document.activeElement?.closest(".hit");

  const go = (step) => {
    const at = hits.indexOf(current());
    const next = hits[at < 0 ? (step > 0 ? 0 : hits.length - 1) : Math.min(Math.max(at + step, 0), hits.length - 1)];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  };

  const press = (key) => {
    if (key === "/") return document.querySelector("#q").focus();
    if (key === "j" || key === "k") return go(key === "j" ? 1 : -1);
    if (key === "?") return document.querySelector("[data-key='?']").click();
    const hit = current() ?? hits[0];
    if (key === "e") return hit?.querySelector(".why summary")?.click();
    return hit?.querySelector(`button[value="${key}"]`)?.click();
  };

  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.key.length === 1 && "/jke?0123".includes(event.key)) {
      event.preventDefault();
      press(event.key);
    }
  });

  const say = (text) => {
    alertLine.textContent = text;
    alertLine.hidden = false;
    alertLine.scrollIntoView({ block: "nearest" });
  };

  // a grade is kept without the page being drawn anew; what cannot be kept is said
  document.querySelectorAll("form.grades").forEach((form) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (isSending) return;
      isSending = true;
      const body = new URLSearchParams(new FormData(form, event.submitter));
      try {
        const reply = await fetch(form.action, { method: "POST", body, redirect: "manual" });
        if (reply.type === "opaqueredirect") {
          form.querySelectorAll("button").forEach((button) => {
            button.setAttribute("aria-pressed", String(button === event.submitter));
          });
          alertLine.hidden = true;
          if (form.closest(".hit") !== hits.at(-1)) {
            form.closest(".hit").focus();
            go(1);
          }
        } else {
          const page = new DOMParser().parseFromString(await reply.text(), "text/html");
          say(page.querySelector("[role=alert]")?.textContent || "This grade was not kept. Give it again.");
        }
      } catch {
        say("The page's server does not answer, so this grade was not kept. Give it again when it is back.");
      }
      isSending = false;
    });
  });

  const light = (event) => {
    const found = event.target.closest?.(".chart [data-doc], .hit")?.dataset.doc;
    document.querySelectorAll(".chart [data-doc]").forEach((each) => {
      each.classList.toggle("lit", each.dataset.doc === found);
    });
  };
  document.addEventListener("mouseover", light);
  document.addEventListener("focusin", light);
})();

// Keys press the buttons that are there anyway, and a form whose server does not answer keeps the page as it is.
"use strict";
(() => {
  const find = (selector) => document.querySelector(selector);
  const alertLine = find(".alert");
  let isSending = false;
  history.scrollRestoration = "manual";  // each pair is read from its beginning

  const say = (text) => {
    alertLine.textContent = text;
    alertLine.hidden = false;
    alertLine.scrollIntoView({ block: "nearest" });
  };

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

  const press = (key) => {
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
  };

  document.addEventListener("keydown", (event) => {
    if (event.target.matches("textarea, input")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if ("0123suna?".includes(event.key) && event.key.length === 1) {
      event.preventDefault();
      press(event.key);
    }
  });

  // what cannot be sent is said here, and the pair stays; what was sent leads to the next page
  document.querySelectorAll("form[data-act]").forEach((form) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (isSending) return;
      isSending = true;
      const body = new URLSearchParams(new FormData(form, event.submitter));
      try {
        const reply = await fetch(form.action, { method: "POST", body, redirect: "manual" });
        if (reply.type === "opaqueredirect") {
          location.replace("/");
          return;
        }
        const page = new DOMParser().parseFromString(await reply.text(), "text/html");
        say(page.querySelector("[role=alert]")?.textContent ?? "This was not kept. Give it again.");
      } catch {
        say("The page's server does not answer, so this was not kept. Start it again with the same command, then give "
          + "it again.");
      }
      isSending = false;
    });
  });

  // a page out of the browser's memory may show a pair that was graded since
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
})();

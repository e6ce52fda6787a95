// What every page does: keys that press the buttons which are there anyway, and forms whose page stays as it is where
// their server does not answer.

// `press` gets each of these keys, unless somebody types a text; Escape leaves a text.
export const onKeys = (keys, press) => {
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.key.length === 1 && keys.includes(event.key)) {
      event.preventDefault();
      press(event.key);
    }
  });
};

const alertLine = document.querySelector(".alert");

export const say = (text) => {
  alertLine.textContent = text;
  alertLine.hidden = false;
  alertLine.scrollIntoView({ block: "nearest" });
};

export const unsay = () => { alertLine.hidden = true; };

// `kept` gets the form and its button when the server has kept what they say, and gives true where it leaves the page;
// `away` is said where the server does not answer. What it refuses is said in its own words.
export const sendForms = (selector, kept, away) => {
  let isSending = false;
  document.querySelectorAll(selector).forEach((form) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (isSending) return;
      isSending = true;
      const body = new URLSearchParams(new FormData(form, event.submitter));
      try {
        const reply = await fetch(form.action, { method: "POST", body, redirect: "manual" });
        if (reply.type === "opaqueredirect") {
          isSending = kept(form, event.submitter) === true;  // nothing more is sent from a page that is left
          return;
        }
        const page = new DOMParser().parseFromString(await reply.text(), "text/html");
        say(page.querySelector("[role=alert]")?.textContent || "This was not kept. Give it again.");
      } catch {
        say(away);
      }
      isSending = false;
    });
  });
};

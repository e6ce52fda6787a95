// While a list is compared, how far it is; its table when it has ended. Without this script a link leads there.
import { say, unsay } from "./acts.js";

const LOOK_MS = 1000, AWAY_MS = 5000;
const progress = document.querySelector("#progress");

const look = async () => {
  let wait = LOOK_MS;
  try {
    const reply = await fetch(location.href);
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    const found = page.querySelector("#progress");
    if (found?.dataset.state !== "running") return location.reload();
    progress.querySelector("p").textContent = found.querySelector("p").textContent;
    progress.querySelector("progress").value = found.querySelector("progress").value;
    unsay();
  } catch {
    wait = AWAY_MS;
    say("The page's server does not answer. When it is back, so is what it had compared, unless it was started anew.");
  }
  return setTimeout(look, wait);
};

if (progress.dataset.state === "running") setTimeout(look, LOOK_MS);

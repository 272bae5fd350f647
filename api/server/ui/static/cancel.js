// Asks whether a job is to be cancelled, and says what came of it.

import { foreign, h, setText } from "./dom.js";
import { cancel } from "./server.js";

/** Show the dialog; resolves to the job as the server answered, or to null. */
export function cancelDialog(job) {
  return new Promise((resolve) => {
    const isOver = job.finished;
    const error = h("p", { class: "error", role: "alert" });
    const why = h("input", { type: "text", maxlength: 256, autocomplete: "off", id: "why" });
    const purge = h("input", { type: "checkbox", id: "purge" });
    const go = h("button", { type: "button", class: "danger" }, isOver ? "Remove it" : "Cancel the job");
    const keep = h("button", { type: "button" }, "Keep it");
    const dialog = h(
      "dialog",
      { "aria-labelledby": "asked" },
      h("h2", { id: "asked" }, isOver ? "Remove " : "Cancel ", foreign(job.id), "?"),
      h("p", {}, describe(job)),
      isOver ? null : h("p", {}, h("label", { for: "why" }, "Why (may be empty)"), why),
      isOver ? null : h("p", { class: "check" }, purge, h("label", { for: "purge" }, "Remove it as soon as it is over: its name is free again then")),
      error,
      h("div", { class: "buttons" }, keep, go),
    );
    let answer = null;
    const act = async () => {
      go.disabled = true;
      setText(error, "");
      try {
        answer = await cancel(job.uid, { why: why.value.trim(), purge: isOver || purge.checked });
        dialog.close();
      } catch (problem) {
        setText(error, `It was not recorded: ${problem.message}`);
        go.disabled = false;
      }
    };
    go.addEventListener("click", act);
    why.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.isComposing) act();
    });
    keep.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
    keep.focus();
  });
}

function describe(job) {
  if (job.finished) return "It is over. Its container and its log are removed now.";
  if (job.reason === "Scheduling") return "It is told not to start; if it has, it is stopped.";
  if (job.phase === "Pending") return "It has not started, and never will.";
  return "It is told to stop, and killed if it has not ended when its grace is over.";
}

// Asks for the token once; the server keeps it in a cookie that no script can read.

import { h, setText } from "./dom.js";
import { logIn } from "./server.js";

export class LoginView {
  #page;
  #token = h("input", { type: "password", id: "token", autocomplete: "current-password", required: true, spellcheck: "false" });
  #error = h("p", { class: "error", role: "alert" });
  #go = h("button", { type: "submit", class: "primary" }, "Log in");

  constructor(page, message = "") {
    this.#page = page;
    this.element = h(
      "form",
      { class: "login card", onsubmit: (event) => this.#submit(event) },
      h("h1", {}, "Log in"),
      h("p", { class: "muted" }, "This service asks for a token: a line of the file that its operator keeps."),
      // keepers of passwords want a name to keep it under
      h("input", { type: "text", hidden: true, autocomplete: "username", value: "docker-job-dispatcher" }),
      h("label", { for: "token" }, "Token"),
      this.#token,
      this.#error,
      this.#go,
    );
    setText(this.#error, message);
    document.title = "Log in";
  }

  draw() {}

  takes() {
    return false;
  }

  async #submit(event) {
    event.preventDefault();
    this.#go.disabled = true;
    setText(this.#error, "");
    try {
      await logIn(this.#token.value.trim());
      this.#token.value = "";
      await this.#page.enter();
    } catch (error) {
      setText(this.#error, describe(error));
      this.#token.select();
    } finally {
      this.#go.disabled = false;
    }
  }
}

function describe({ code, message, retryAfter }) {
  if (code === 401) return "This token is not known.";
  if (code === 429) return `Too many tries${retryAfter ? `: try again in ${retryAfter} s` : ", try again later"}.`;
  return `The login failed: ${message}.`;
}

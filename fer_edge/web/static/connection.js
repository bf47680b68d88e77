// The WebSocket to the server: opened again when it is lost, silent while the page is paused or hidden.
//
// The server keeps two messages on their way and sends the next when one is answered. A page that does not
// answer gets nothing, and costs nothing.

const FIRST_DELAY_MS = 500;
const LAST_DELAY_MS = 8000;

export class Connection {
  #socket = null;
  #delay = FIRST_DELAY_MS;
  #unanswered = 0;
  #isPaused = false;
  #shown = Promise.resolve();

  // begin(first message), show(fields, JPEG bytes or null): a promise, lose()
  constructor({ begin, show, lose }) {
    Object.assign(this, { begin, show, lose });
    document.addEventListener("visibilitychange", () => this.#answer());
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/live`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      // One after the other, in order.
      this.#shown = this.#shown.then(() => this.#take(socket, data));
    };
    socket.onclose = () => {
      this.lose();
      setTimeout(() => this.open(), this.#delay);
      this.#delay = Math.min(2 * this.#delay, LAST_DELAY_MS);
    };
    this.#socket = socket;
    this.#unanswered = 0;
  }

  set isPaused(value) {
    this.#isPaused = value;
    this.#answer();
  }

  async #take(socket, data) {
    if (socket !== this.#socket) return;
    if (typeof data === "string") {
      this.#delay = FIRST_DELAY_MS;
      this.begin(JSON.parse(data));
      return;
    }
    const length = new DataView(data).getUint32(0);
    const fields = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const jpeg = data.byteLength > 4 + length ? new Uint8Array(data, 4 + length) : null;
    await this.show(fields, jpeg);
    this.#unanswered += 1;
    this.#answer();
  }

  #answer() {
    if (this.#isPaused || document.hidden || this.#socket.readyState !== WebSocket.OPEN) return;
    for (; this.#unanswered > 0; this.#unanswered -= 1) this.#socket.send("1");
  }
}

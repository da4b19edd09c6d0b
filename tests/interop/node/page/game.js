// A player in a browser. The server is named by the page's address: ?server=wss://…
//
// The first message is our id, four bytes, little-endian; every other is one packet.

const server = new URLSearchParams(location.search).get("server");
const decoder = new TextDecoder();
const players = new Map();
const socket = new WebSocket(server);
let own;

function element(id) {
  return document.getElementById(id);
}

function count(id) {
  element(id).textContent = Number(element(id).textContent) + 1;
}

function send(text) {
  socket.send(new TextEncoder().encode(text));
  count("sent");
}

function enter(id, name) {
  const color = `hsl(${(players.size * 150 + 205) % 360} 65% 45%)`;
  const dot = document.createElement("div");
  dot.className = "player";
  dot.dataset.name = name;
  dot.style.cssText = `left: 50%; top: 50%; background: ${color}`;
  element("field").append(dot);
  const entry = document.createElement("li");
  entry.textContent = `${name} (${id})${id === own ? ", this is me" : ""}`;
  entry.style.setProperty("--color", color);
  element("players").append(entry);
  players.set(id, { name, color, dot, entry });
}

function leave(id) {
  players.get(id)?.dot.remove();
  players.get(id)?.entry.remove();
  players.delete(id);
}

function move(id, x, y) {
  const { dot } = players.get(id);
  dot.style.left = `${x}%`;
  dot.style.top = `${y}%`;
}

function say(id, text) {
  const { name, color } = players.get(id);
  const line = document.createElement("li");
  const speaker = document.createElement("b");
  speaker.textContent = name;
  line.append(speaker, ` ${text}`);
  line.style.setProperty("--color", color);
  element("chat").append(line);
  line.scrollIntoView();
}

function handle(packet) {
  const [event, id, ...words] = packet.split(" ");
  switch (event) {
    case "joined":
      enter(Number(id), words.join(" "));
      break;
    case "left":
      leave(Number(id));
      break;
    case "all":
      if (words[0] === "move") {
        move(Number(id), Number(words[1]), Number(words[2]));
      } else if (words[0] === "say") {
        say(Number(id), words.slice(1).join(" "));
      }
      break;
  }
}

socket.binaryType = "arraybuffer";
element("server").textContent = server;

socket.addEventListener("open", () => {
  element("state").textContent = "open";
  element("state").className = "open";
  element("extensions").textContent = socket.extensions || "none";
});

socket.addEventListener("message", ({ data }) => {
  count("received");
  if (own !== undefined) {
    handle(decoder.decode(data));
    return;
  }
  own = new DataView(data).getInt32(0, true);
  element("id").textContent = own;
  send("/hello Browser");
});

socket.addEventListener("close", ({ code, wasClean }) => {
  element("state").textContent = `closed with ${code}${wasClean ? "" : ", not cleanly"}`;
  element("state").className = "";
});

element("field").addEventListener("pointermove", ({ clientX, clientY }) => {
  const field = element("field").getBoundingClientRect();
  const x = Math.round((100 * (clientX - field.left)) / field.width);
  const y = Math.round((100 * (clientY - field.top)) / field.height);
  send(`/all move ${x} ${y}`);
});

element("say").addEventListener("submit", (event) => {
  event.preventDefault();
  send(`/all say ${element("text").value}`);
  element("text").value = "";
});

// For whoever drives the page.
window.leaveGame = () => {
  send("/all bye");
  socket.close(1000);
};

// A spectator of a match: a plain WebSocket client that gets what is to be drawn as JSON.
//
// index.html?port=9081, or index.html?server=ws://host:port. What comes is described in
// ../net/spectators.gd; nothing is sent.

const COLORS = [
  "#ff7a8a", "#ffa65c", "#ffd966", "#b8e35f", "#5fe0a0", "#4fd8d8",
  "#6cb8ff", "#8c9dff", "#b494ff", "#e58cf0", "#ff8fc0", "#d9b38c",
];
const RADIUS = 22;
const ORB_RADIUS = 10;
const SCORES_SHOWN = 12;
const CHAT_KEPT = 40;
// Milliseconds between states; movement is drawn so much late.
const STEP = 100;
const LONGEST_PAUSE = 8000;

const element = (id) => document.getElementById(id);
const canvas = element("arena");
const context = canvas.getContext("2d");

let match = null;
// By id: where a player was and is.
const tracks = new Map();
let pause = 500;

function address() {
  const query = new URLSearchParams(location.search);
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const host = location.hostname || "127.0.0.1";
  return query.get("server") ?? `${scheme}://${host}:${query.get("port") ?? 9081}`;
}

function connect() {
  const socket = new WebSocket(address());
  socket.onopen = () => {
    element("state").textContent = "live";
    pause = 500;
  };
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "state") {
      show(message);
    } else if (message.type === "chat") {
      chat(message);
    }
  };
  socket.onclose = () => {
    element("state").textContent = "no match, trying again";
    setTimeout(connect, pause * (0.5 + Math.random() / 2));
    pause = Math.min(LONGEST_PAUSE, pause * 2);
  };
}

// As the game's own: Godot's String.hash() of the name.
function color(name) {
  let hash = 5381;
  for (const character of name) {
    hash = (Math.imul(hash, 33) + character.codePointAt(0)) >>> 0;
  }
  return COLORS[hash % COLORS.length];
}

function show(state) {
  const now = performance.now();
  for (const [id, , x, y] of state.players) {
    const before = place(id, now) ?? [x, y];
    tracks.set(id, { from: before, to: [x, y], at: now });
  }
  const here = new Set(state.players.map(([id]) => id));
  for (const id of tracks.keys()) {
    if (!here.has(id)) {
      tracks.delete(id);
    }
  }
  match = state;
  const seconds = String(state.seconds % 60).padStart(2, "0");
  element("clock").textContent = `${Math.floor(state.seconds / 60)}:${seconds}`;
  element("count").textContent = state.players.length;
  const best = state.players.toSorted((one, other) => other[4] - one[4]).slice(0, SCORES_SHOWN);
  element("scores").replaceChildren(...best.map(([, name, , , score]) => row(name, score)));
}

function row(name, score) {
  const item = document.createElement("li");
  const dot = document.createElement("span");
  dot.className = "dot";
  dot.style.background = color(name);
  const points = document.createElement("b");
  points.textContent = score;
  // Text, never markup: names are what players choose.
  item.append(dot, document.createTextNode(name), points);
  return item;
}

function chat({ name, text }) {
  const list = element("chat");
  const item = document.createElement("li");
  const speaker = document.createElement("span");
  speaker.style.color = color(name);
  speaker.textContent = `${name}  `;
  item.append(speaker, document.createTextNode(text));
  list.append(item);
  while (list.childElementCount > CHAT_KEPT || list.parentElement.scrollHeight > list.parentElement.clientHeight) {
    list.firstElementChild.remove();
  }
}

function place(id, now) {
  const track = tracks.get(id);
  if (track === undefined) {
    return undefined;
  }
  const part = Math.min(1, (now - track.at) / STEP);
  return track.from.map((start, axis) => start + (track.to[axis] - start) * part);
}

function draw(now) {
  requestAnimationFrame(draw);
  const ratio = devicePixelRatio;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  context.scale(ratio, ratio);
  if (match === null) {
    return;
  }
  const [arenaWidth, arenaHeight] = match.arena;
  const scale = Math.min(width / arenaWidth, height / arenaHeight);
  context.translate((width - arenaWidth * scale) / 2, (height - arenaHeight * scale) / 2);
  context.beginPath();
  context.roundRect(0, 0, arenaWidth * scale, arenaHeight * scale, 18);
  context.fillStyle = "#12162b";
  context.fill();
  context.strokeStyle = "#2f3766";
  context.stroke();
  for (const [x, y, isStar] of match.orbs) {
    orb(x * scale, y * scale, scale, isStar, now);
  }
  const leader = match.players.reduce((best, player) => (player[4] > (best?.[4] ?? 0) ? player : best), null);
  for (const player of match.players) {
    body(player, scale, now);
  }
  for (const player of match.players) {
    caption(player, scale, now, player === leader);
  }
}

function disc(x, y, radius, fill) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = fill;
  context.fill();
}

function glow(x, y, radius, fill) {
  const light = context.createRadialGradient(x, y, 0, x, y, radius);
  light.addColorStop(0, `${fill}77`);
  light.addColorStop(1, `${fill}00`);
  disc(x, y, radius, light);
}

function orb(x, y, scale, isStar, now) {
  const fill = isStar ? "#ffcf5c" : "#5eead4";
  const radius = ORB_RADIUS * scale * (1 + 0.12 * Math.sin(now / 330 + x));
  glow(x, y, radius * (isStar ? 5 : 3.4), fill);
  if (!isStar) {
    disc(x, y, radius * 0.8, fill);
    return;
  }
  context.beginPath();
  for (let corner = 0; corner < 10; corner += 1) {
    const reach = radius * (corner % 2 === 0 ? 1.7 : 0.85);
    const angle = now / 1000 + (corner * Math.PI) / 5;
    context.lineTo(x + reach * Math.cos(angle), y + reach * Math.sin(angle));
  }
  context.fillStyle = fill;
  context.fill();
}

function body([id, name], scale, now) {
  const [x, y] = place(id, now).map((axis) => axis * scale);
  const radius = RADIUS * scale;
  const fill = color(name);
  glow(x, y, radius * 2.3, fill);
  disc(x, y, radius, "#0006");
  disc(x, y, radius - 1, fill);
  for (const side of [-1, 1]) {
    disc(x + side * radius * 0.34, y - radius * 0.1, radius * 0.24, "#fff");
    disc(x + side * radius * 0.34, y - radius * 0.1, radius * 0.13, "#0d1020");
  }
}

function caption([id, name], scale, now, isLeader) {
  const [x, y] = place(id, now).map((axis) => axis * scale);
  context.font = '600 13px "Open Sans", system-ui, "DejaVu Sans", sans-serif';
  context.textAlign = "center";
  context.lineWidth = 4;
  context.lineJoin = "round";
  context.strokeStyle = "#0d1020bb";
  context.fillStyle = isLeader ? "#ffcf5c" : "#eef0ff";
  const text = isLeader ? `★ ${name}` : name;
  context.strokeText(text, x, y - RADIUS * scale - 7);
  context.fillText(text, x, y - RADIUS * scale - 7);
}

connect();
requestAnimationFrame(draw);

// The npm package ws: each message goes back to its sender.
const { WebSocketServer } = require('ws');

const port = Number(process.argv[2]);
const server = new WebSocketServer({ host: '127.0.0.1', port, perMessageDeflate: false });
server.on('connection', (socket) => {
  // The clients know how the engine's class greets: with an id.
  socket.send(Buffer.from([2, 0, 0, 0]));
  socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary }));
});
server.on('listening', () => console.log(`LISTENING ${process.pid}`));

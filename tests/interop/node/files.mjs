// What a server of static pages answers with.

import fs from "node:fs";
import path from "node:path";

const TYPES = { ".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript" };

// A handler that serves the files of one folder.
export function files(folder) {
  return (request, response) => {
    const name =
      path.basename(new URL(request.url, "http://localhost").pathname) || "index.html";
    const file = path.join(folder, name);
    if (!fs.existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "Content-Type": TYPES[path.extname(name)] });
    fs.createReadStream(file).pipe(response);
  };
}

export async function listen(server) {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server.address().port;
}

// The tracker of npm's bittorrent-tracker, over HTTP and UDP: tracker.mjs SERVER.JS PORT
// Says in a line of JSON when it listens. (The package's own program also loads WebRTC, which is not installed.)

const [module, port] = process.argv.slice(2);
const { default: Server } = await import(module);
const server = new Server({ http: true, udp: true, ws: false, stats: false });
const say = (event, message) => console.log(JSON.stringify({ event, message }));
server.on("error", (error) => say("error", error.message));
server.on("warning", (error) => say("warning", error.message));
server.listen(Number(port), () => say("listening", String(port)));

extends "res://support.gd"
## MioWebSocketPeer as the client of foreign servers: those of python/servers.py and node/servers.mjs.
##
## --ports=JSON_PATH --certificates=FOLDER

const MANY := 2000
const OPEN := MioWebSocketPeer.STATE_OPEN
const CLOSED := MioWebSocketPeer.STATE_CLOSED

var _ports := {}


func _initialize() -> void:
	begin(60.0)
	_ports = ports()
	for url: String in [_url("ws", "127.0.0.1", "echo"), _url("wss", "localhost", "good")]:
		await _talk(url.get_slice(":", 0) + ": ", url)
	await _trust()
	await _names()
	await _versions()
	end()


func _url(scheme: String, host: String, server: String) -> String:
	return "%s://%s:%d" % [scheme, host, _ports[server]]


func _certificate(name: String) -> String:
	return argument("certificates").path_join(name)


func _socket(ca := "root.crt") -> MioWebSocketPeer:
	var socket := MioWebSocketPeer.new()
	socket.tls_ca_bundle = "" if ca.is_empty() else _certificate(ca)
	socket.outbound_buffer_size = 1 << 20
	return socket


## Waits for the connection to open. Whether it did.
func _opens(socket: MioWebSocketPeer) -> bool:
	await until(
		func() -> bool:
			socket.poll()
			return socket.get_ready_state() == OPEN or socket.get_ready_state() == CLOSED
	)
	return socket.get_ready_state() == OPEN


func _open(url: String, protocols: PackedStringArray = []) -> MioWebSocketPeer:
	var socket := _socket()
	socket.supported_protocols = protocols
	socket.connect_to_url(url)
	if not await _opens(socket):
		check("%s opens" % url, false, "state %d" % socket.get_ready_state())
	return socket


## The next message: text as String, else PackedByteArray; null if none comes.
func _receive(socket: MioWebSocketPeer) -> Variant:
	await until(
		func() -> bool:
			socket.poll()
			return socket.get_available_packet_count() > 0 or socket.get_ready_state() == CLOSED
	)
	if socket.get_available_packet_count() == 0:
		return null
	var packet := socket.get_packet()
	return packet.get_string_from_utf8() if socket.was_string_packet() else packet


func _ask(socket: MioWebSocketPeer, text: String) -> Variant:
	if socket.get_ready_state() != OPEN:
		return null
	socket.send_text(text)
	return await _receive(socket)


func _closed(socket: MioWebSocketPeer) -> bool:
	return await until(
		func() -> bool:
			socket.poll()
			return socket.get_ready_state() == CLOSED
	)


func _talk(prefix: String, url: String) -> void:
	var socket := await _open(url + "/a%20path?q=1")
	equal(prefix + "url", await _ask(socket, "/path"), "/a%20path?q=1")
	equal(prefix + "no extension", await _ask(socket, "/extensions"), "")
	equal(prefix + "no protocol", socket.get_selected_protocol(), "")
	for text: String in ["a", "grüße, 你好, 🎲", "x".repeat(65535)]:
		equal(prefix + "text of %d" % text.length(), await _ask(socket, text), text)
	for size: int in [0, 1, 125, 126, 127, 65535]:
		socket.send(pattern(size))
		equal(prefix + "binary of %d" % size, await _receive(socket), pattern(size))
	equal(prefix + "fragments and a ping", await _ask(socket, "/fragments"), "one two three")
	equal(prefix + "ping", await _ask(socket, "/ping"), "pong")
	await _many(prefix, socket)
	socket.heartbeat_interval = 0.1
	await create_timer(0.5).timeout
	equal(prefix + "heartbeat", await _ask(socket, "still here"), "still here")
	await _close(prefix, url, socket)
	await _offer(prefix, url)


func _many(prefix: String, socket: MioWebSocketPeer) -> void:
	socket.send_text("/many %d" % MANY)
	for i in MANY:
		var got: Variant = await _receive(socket)
		if got != "message %d" % i:
			equal(prefix + "many come in order", got, "message %d" % i)
			return
	check(prefix + "many come in order", true)
	for i in MANY:
		socket.send_text("number %d" % i)
	for i in MANY:
		var got: Variant = await _receive(socket)
		if got != "number %d" % i:
			equal(prefix + "many go in order", got, "number %d" % i)
			return
	check(prefix + "many go in order", true)


func _close(prefix: String, url: String, socket: MioWebSocketPeer) -> void:
	socket.close(4001, "enough for today")
	check(prefix + "own close ends", await _closed(socket))
	equal(prefix + "own close code", socket.get_close_code(), 4001)

	socket = await _open(url)
	socket.send_text("/close 4002 no more seats")
	check(prefix + "server's close ends", await _closed(socket))
	var got := [socket.get_close_code(), socket.get_close_reason()]
	equal(prefix + "server's code and reason", got, [4002, "no more seats"])

	socket = await _open(url)
	socket.send_text("/drop")
	check(prefix + "dropped connection ends", await _closed(socket))
	equal(prefix + "dropped connection has no code", socket.get_close_code(), -1)

	socket = await _open(url)
	socket.send_text("/large 65536")
	check(prefix + "too large message ends", await _closed(socket))
	equal(prefix + "the socket can be used again", socket.connect_to_url(url), OK)
	check(prefix + "and opens again", await _opens(socket))
	socket.close()
	await _closed(socket)


func _offer(prefix: String, url: String) -> void:
	var socket := await _open(url, ["nonsense", "game.v2", "chat"])
	check(prefix + "protocol", socket.get_selected_protocol() in ["game.v2", "chat"], socket.get_selected_protocol())
	socket.close()
	await _closed(socket)

	socket = _socket()
	socket.handshake_headers = ["X-Interop: from the engine"]
	socket.connect_to_url(url)
	await _opens(socket)
	equal(prefix + "headers", await _ask(socket, "/header X-Interop"), "from the engine")
	socket.close()
	await _closed(socket)


## Which servers are trusted by whom.
func _trust() -> void:
	# Each refusal says in the log why.
	for cause: String in ["unknown issuer", "name mismatch", "has expired", "TLS"]:
		print("EXPECT_ERROR ", cause)
	for server: String in ["good", "chain"]:
		await _expect("trust: %s" % server, _url("wss", "localhost", server), _socket(), null, true)
	for server: String in ["leaf_only", "wrong_name", "expired", "unknown"]:
		await _expect("trust: %s is refused" % server, _url("wss", "localhost", server), _socket(), null, false)
	# An address is a name too, and the certificate has it.
	await _expect("trust: by address", _url("wss", "127.0.0.1", "good"), _socket(), null, true)

	var root := X509Certificate.new()
	root.load(_certificate("root.crt"))
	var other := X509Certificate.new()
	other.load(_certificate("other_root.crt"))
	var url := _url("wss", "localhost", "good")
	await _expect("trust: TLSOptions.client", url, _socket(""), TLSOptions.client(root), true)
	await _expect("trust: another root", url, _socket(""), TLSOptions.client(other), false)
	await _expect("trust: only public roots", url, _socket(""), null, false)
	await _expect("trust: unsafe", url, _socket(""), TLSOptions.client_unsafe(), true)
	var named := TLSOptions.client(root, "localhost")
	await _expect("trust: another name is asked for", url.replace("localhost", "127.0.0.1"), _socket(""), named, true)
	await _expect("trust: TLS to a plain server", _url("wss", "localhost", "echo"), _socket(), null, false)
	await _expect("trust: plain to a TLS server", _url("ws", "localhost", "good"), _socket(), null, false)


func _expect(name: String, url: String, socket: MioWebSocketPeer, options: TLSOptions, wanted: bool) -> void:
	var begun := socket.connect_to_url(url, options)
	equal(name, begun == OK and await _opens(socket), wanted)
	socket.close(-1)


## The name in the TLS handshake (SNI): that of the URL, never an address.
func _names() -> void:
	for host: String in ["localhost", "127.0.0.1"]:
		var wanted := host if host == "localhost" else ""
		for options: TLSOptions in [null, TLSOptions.client_unsafe()]:
			var socket := _socket("" if options != null else "root.crt")
			socket.connect_to_url(_url("wss", host, "good"), options)
			await _opens(socket)
			var title := "SNI for %s, %s" % [host, "safe" if options == null else "unsafe"]
			equal(title, await _ask(socket, "/sni"), wanted)
			socket.close()
			await _closed(socket)


func _versions() -> void:
	# Sessions are kept by host name and by whom one trusts, so these servers need a trust of their own.
	for triple: Array in [["tls12", "TLSv1.2", "bundle.crt"], ["tls13", "TLSv1.3", "roots.crt"]]:
		for resumed: String in ["no", "yes"]:
			var socket := _socket(triple[2])
			socket.connect_to_url(_url("wss", "localhost", triple[0]))
			await _opens(socket)
			var prefix := "%s%s: " % [triple[0], " again" if resumed == "yes" else ""]
			equal(prefix + "version", await _ask(socket, "/tls"), triple[1])
			equal(prefix + "ALPN", await _ask(socket, "/alpn"), "http/1.1")
			equal(prefix + "session resumed", await _ask(socket, "/reused"), resumed)
			socket.close()
			await _closed(socket)

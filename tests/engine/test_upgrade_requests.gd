extends SceneTree
## How a server answers upgrade requests, good ones and bad ones, while a client that is connected plays on.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")
const ErrorCounter := preload("res://support/error_counter.gd")

const KEY := "Sec-WebSocket-Key: " + Raw.KEY
const GOOD: PackedStringArray = [
	"Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade", KEY, "Sec-WebSocket-Version: 13"
]

var t := Harness.new()
var _net: Dictionary
var _refused := 0


func _initialize() -> void:
	t.begin(self, 18.0)
	if not t.ready():
		return
	t.expect_error("upgrade refused")
	t.expect_error("more errors were not shown")
	_net = t.connect_net(1)
	var counter := ErrorCounter.start()

	_accepted("the five headers", _ask(GOOD))
	_accepted("any path and query", "GET /a/b?c=d&e=%20 HTTP/1.1\r\n" + _lines(GOOD))
	_accepted(
		"names in any case",
		_ask(
			[
				"HOST: x",
				"uPGRADE: WebSocket",
				"connection: upgrade",
				KEY.to_lower().replace(Raw.KEY.to_lower(), Raw.KEY),
				"sec-websocket-version:13"
			]
		)
	)
	_accepted("Upgrade as a list", _ask(_with(1, "Upgrade: foo, websocket")))
	_accepted("Connection as a list", _ask(_with(2, "Connection: keep-alive, Upgrade")))
	_accepted("a header with an empty value", _ask(GOOD + PackedStringArray(["X-Empty:", "X-Blank: "])))
	_accepted("any Origin", _ask(GOOD + PackedStringArray(["Origin: https://example.org"])))
	_accepted("an extension offered", _ask(GOOD + PackedStringArray(["Sec-WebSocket-Extensions: permessage-deflate"])))
	_accepted("a head of 15 KiB", _ask(GOOD + PackedStringArray(["X-Long: " + "x".repeat(15 * 1024 - 300)])))
	_accepted("a head of 15 KiB in many lines", _ask(GOOD + _many_lines(80, 180)))
	_trickled()

	# Nobody should depend on what makes a request line bad: all of them are 400.
	for line: String in [
		"GET",
		"GET /",
		"GET / HTTP/1.1 now",
		"",
		" ",
		"GET  /  HTTP/1.1",
		"hello",
		"GET / HTTP",
		"GET / FTP/1.1",
		"GET HTTP/1.1",
		"/ GET HTTP/1.1",
		"é ü ß"
	]:
		_refused_with([400, 405], "the request line '%s'" % line, line + "\r\n" + _lines(GOOD))
	_refused_bytes(
		[400, 405],
		"a binary request line",
		PackedByteArray([0, 255, 1, 254, 32, 47, 32, 128]) + ("\r\n" + _lines(GOOD)).to_utf8_buffer()
	)
	_refused_with([400], "no headers at all", "GET / HTTP/1.1\r\n\r\n")
	_refused_with([400, 426, 505], "HTTP/1.0", "GET / HTTP/1.0\r\n" + _lines(GOOD))
	_refused_with([405], "POST", "POST / HTTP/1.1\r\n" + _lines(GOOD))
	_refused_with([400, 405], "get in small letters", "get / HTTP/1.1\r\n" + _lines(GOOD))

	_refused_with([400], "no Host", _ask(_with(0, "")))
	_refused_with([400], "two Hosts", _ask(GOOD + PackedStringArray(["Host: other"])))
	_refused_with([400, 426], "no Upgrade", _ask(_with(1, "")))
	_refused_with([400, 426], "Upgrade: h2c", _ask(_with(1, "Upgrade: h2c")))
	_refused_with([400, 426], "no Connection", _ask(_with(2, "")))
	_refused_with([400, 426], "Connection: close", _ask(_with(2, "Connection: close")))
	_refused_with([400, 426], "Connection: keep-alive", _ask(_with(2, "Connection: keep-alive")))
	_refused_with([400], "no key", _ask(_with(3, "")))
	_refused_with([400], "an empty key", _ask(_with(3, "Sec-WebSocket-Key:")))
	_refused_with([400], "a key of 15 bytes", _ask(_with(3, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA")))
	_refused_with([400], "a key that is not base64", _ask(_with(3, "Sec-WebSocket-Key: !!!!AAAAAAAAAAAAAAAAAA==")))
	_refused_with([400], "two keys", _ask(GOOD + PackedStringArray([KEY])))
	_refused_with([400, 426], "no version", _ask(_with(4, "")))
	var answer := _refused_with([426], "version 8", _ask(_with(4, "Sec-WebSocket-Version: 8")))
	t.equal("the answer to another version names ours", answer.header("Sec-WebSocket-Version"), "13")
	_refused_with(
		[400], "a sub-protocol that nobody speaks", _ask(GOOD + PackedStringArray(["Sec-WebSocket-Protocol: x"]))
	)

	_refused_with([400], "a header without a colon", _ask(GOOD + PackedStringArray(["NoColon"])))
	_refused_with([400], "a header without a name", _ask(GOOD + PackedStringArray([": x"])))
	_refused_with([400], "a blank before the colon", _ask(GOOD + PackedStringArray(["X-A : b"])))
	_refused_with([400], "a folded header", _ask(GOOD + PackedStringArray(["X-A: b", " c"])))
	_refused_bytes([400], "NUL in a value", _with_raw_byte(0))
	_refused_bytes([400], "a bare CR in a value", _with_raw_byte(13))
	_refused_with([431], "a head of 17 KiB", _ask(GOOD + PackedStringArray(["X-Long: " + "x".repeat(17 * 1024)])))
	_refused_with([431], "a head of 40 KiB that does not end", "GET / HTTP/1.1\r\nX-Long: " + "x".repeat(40 * 1024))
	_refused_with([431], "a request line of 17 KiB", "GET /%s HTTP/1.1\r\n" % "x".repeat(17 * 1024) + _lines(GOOD))

	_flood()
	counter.stop()
	t.check(
		"one log line at most for each refusal",
		counter.count <= _refused,
		"%d lines, %d refusals" % [counter.count, _refused]
	)
	t.equal(
		"nobody but the clients that were answered 101 has ever been connected",
		_net.server.get_available_packet_count(),
		0
	)
	t.close_net(_net)
	t.finish()


func _ask(headers: PackedStringArray) -> String:
	return "GET / HTTP/1.1\r\n" + _lines(headers)


func _lines(headers: PackedStringArray) -> String:
	var text := ""
	for line in headers:
		text += line + "\r\n"
	return text + "\r\n"


## The good headers with line `index` replaced, or left out where `line` is empty.
func _with(index: int, line: String) -> PackedStringArray:
	var headers := GOOD.duplicate()
	headers.remove_at(index)
	if not line.is_empty():
		headers.append(line)
	return headers


func _with_raw_byte(value: int) -> PackedByteArray:
	var data := _ask(GOOD + PackedStringArray(["X-A: b#c"])).to_utf8_buffer()
	data[data.find(35)] = value
	return data


func _many_lines(count: int, length: int) -> PackedStringArray:
	var lines := PackedStringArray()
	for i in count:
		lines.append("X-%d: %s" % [i, "y".repeat(length)])
	return lines


func _accepted(name: String, request: String) -> void:
	var raw := Raw.dial(_net.port, _net.all)
	raw.send_text(request)
	raw.read_head(_net.all)
	var id := raw.read_frame(_net.all)
	t.equal(
		"101 for " + name,
		[raw.status(), raw.header("Sec-WebSocket-Accept"), raw.header("Sec-WebSocket-Extensions"), id.get("op")],
		[101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "", Raw.BINARY]
	)
	raw.tcp.disconnect_from_host()


## A slow but valid client.
func _trickled() -> void:
	var raw := Raw.dial(_net.port, _net.all)
	for byte in _ask(GOOD).to_utf8_buffer():
		raw.send(PackedByteArray([byte]))
		_net.server.poll()
	raw.read_head(_net.all)
	t.equal("101 for a request that comes byte by byte", raw.status(), 101)
	raw.tcp.disconnect_from_host()


## Many bad requests at once: all are answered, and the log does not grow with them.
func _flood() -> void:
	var counter := ErrorCounter.start()
	var raws: Array[Raw] = []
	for i in 60:
		raws.append(Raw.dial(_net.port))
		raws[i].send_text("hello\r\n\r\n")
	var answered := 0
	for raw in raws:
		raw.read_head(_net.all)
		answered += int(raw.status() == 400)
	_refused += raws.size()
	# What was left out is told with the next error.
	t.settle(1100)
	_refused_with([400], "one more after a flood", "hello\r\n\r\n")
	counter.stop()
	t.check(
		"a flood of bad requests is answered, not logged",
		answered == 60 and counter.count <= 35,
		"%d answers, %d lines" % [answered, counter.count]
	)


func _refused_with(statuses: Array, name: String, request: String) -> Raw:
	return _refused_bytes(statuses, name, request.to_utf8_buffer())


func _refused_bytes(statuses: Array, name: String, request: PackedByteArray) -> Raw:
	_refused += 1
	var raw := Raw.dial(_net.port, _net.all)
	raw.send(request)
	raw.read_head(_net.all, 800)
	var closed := raw.wait_closed(_net.all, 800)
	var body := raw.inbox.get_string_from_utf8()
	var problems := PackedStringArray()
	if not statuses.has(raw.status()):
		problems.append("status %d" % raw.status())
	if not closed:
		problems.append("left open")
	if (
		not raw.header("Content-Type").begins_with("text/plain")
		or int(raw.header("Content-Length")) != raw.inbox.size()
	):
		problems.append("head " + raw.head)
	if body.is_empty() or body.length() > 200:
		problems.append("body '%s'" % body)
	if not t.talks(_net):
		problems.append("others cannot play on")
	t.check("%s for %s" % [statuses[0], name], problems.is_empty(), ", ".join(problems))
	return raw

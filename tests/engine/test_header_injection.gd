extends SceneTree
## Line breaks in what a game sets never reach the wire. A property refuses them with an error and
## keeps its value; create_client refuses a URL with one before anything is sent.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")

const BREAKS: PackedStringArray = ["\r\n", "\n", "\r"]

var t := Harness.new()
var _listener := TCPServer.new()


func _initialize() -> void:
	t.begin(self)
	if not t.ready():
		return
	t.expect_error("of handshake_headers contains")
	t.expect_error("of supported_protocols contains")
	t.expect_error("of handshake_headers is empty")
	t.expect_error("cannot use the url")
	_listener.listen(0, "127.0.0.1")
	var port := _listener.get_local_port()
	var url := t.url(port) + "/"
	for i in BREAKS.size():
		var name: String = ["CR LF", "LF", "CR"][i]
		var smuggled := BREAKS[i] + "X-Smuggled: 1"
		_setting("%s in a header" % name, ["X-A: b" + smuggled], [])
		_setting("%s at the end of a header" % name, ["X-A: b" + BREAKS[i]], [])
		_setting("%s in the second header" % name, ["X-A: b", "X-B: c" + smuggled], [])
		_setting("%s in a header's name" % name, ["X%sA: b" % BREAKS[i]], [])
		_setting("%s in a sub-protocol" % name, [], ["a" + smuggled])
		_url("%s in the path" % name, url + "a" + smuggled)
		_url("%s in the query" % name, url + "a?b=" + smuggled)
		_url("%s in the host" % name, "ws://127.0.0.1%s:%d/" % [smuggled, port])
		_url("%s in the user info" % name, "ws://a%s@127.0.0.1:%d/" % [smuggled, port])
	_setting("a whole request in a header", ["X-A: b\r\n\r\nGET /other HTTP/1.1\r\nHost: x"], [])
	_empty_header()
	_set_while_listening()
	_tidy_settings_work()
	t.finish()


## What is refused is not stored, and the request is the one without it.
func _setting(name: String, headers: PackedStringArray, protocols: PackedStringArray) -> void:
	var client := t.new_client()
	client.handshake_headers = PackedStringArray(["X-Kept: 1"])
	client.handshake_headers = headers
	client.supported_protocols = protocols
	var kept: bool = client.handshake_headers == PackedStringArray(["X-Kept: 1"]) or headers.is_empty()
	client.create_client(t.url(_listener.get_local_port()) + "/")
	var raw := Raw.accept(_listener, [client])
	raw.read_head([client])
	t.equal(
		"%s: kept, request, smuggled, other requests" % name,
		[kept, raw.head.get_slice("\r\n", 0), raw.header("X-Smuggled"), raw.head.contains("/other")],
		[true, "GET / HTTP/1.1", "", false]
	)
	t.equal("%s: the sub-protocols are kept" % name, client.supported_protocols, PackedStringArray())
	client.close()


func _url(name: String, url: String) -> void:
	var client := t.new_client()
	var error: Error = client.create_client(url)
	var status := client.get_connection_status()
	t.spin([client], 10)
	t.equal(
		"%s: error, status, connections" % name,
		[error, status, _listener.is_connection_available()],
		[ERR_INVALID_PARAMETER, Harness.DISCONNECTED, false]
	)


## An empty line would end the head early. It may be stored, as in the engine's class, but not sent.
func _empty_header() -> void:
	var client := t.new_client()
	client.handshake_headers = PackedStringArray(["X-A: b", ""])
	var server := t.new_server()
	server.handshake_headers = PackedStringArray([""])
	t.equal(
		"an empty header: create_client, create_server",
		[client.create_client("ws://127.0.0.1:1"), server.create_server(0, "127.0.0.1")],
		[ERR_INVALID_PARAMETER, ERR_INVALID_PARAMETER]
	)


## A server's settings count for each connection that comes, so they can change after create_server.
func _set_while_listening() -> void:
	var net := t.connect_net(0)
	net.server.handshake_headers = PackedStringArray(["X-A: b\r\nX-Smuggled: 1"])
	var raw := Raw.dial(net.port, [net.server])
	raw.send_text(Raw.request(net.port))
	raw.read_head([net.server], 500)
	t.equal("a bad header set while listening does not get out", raw.header("X-Smuggled"), "")
	t.close_net(net)


## After a refusal the same object works, and settings that look odd but are right arrive as they are.
func _tidy_settings_work() -> void:
	var client := t.new_client()
	client.handshake_headers = PackedStringArray(["X-A: b\nc"])
	var refused: Error = client.create_client("ws://127.0.0.1\n:1")
	client.handshake_headers = PackedStringArray(["X-A:  b : c\td", "X-B: é"])
	client.supported_protocols = PackedStringArray([" one\n", "two"])
	var accepted: Error = client.create_client(t.url(_listener.get_local_port()) + "/a?b=%0d%0a")
	var raw := Raw.accept(_listener, [client])
	raw.read_head([client])
	t.equal(
		"the same object works with tidy settings",
		[
			refused,
			accepted,
			raw.head.get_slice("\r\n", 0),
			raw.header("X-A"),
			raw.header("X-B"),
			raw.header("Sec-WebSocket-Protocol")
		],
		[ERR_INVALID_PARAMETER, OK, "GET /a?b=%0d%0a HTTP/1.1", "b : c\td", "é", "one,two"]
	)
	client.close()

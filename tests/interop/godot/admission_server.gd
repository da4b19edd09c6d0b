extends "res://support.gd"
## A server that lets in who shows the token: in the header Authorization, the query, a cookie or a sub-protocol.
##
## --port-file=PATH --token=TOKEN [--chain=PEM_PATH --key=PEM_PATH]
## Whoever asks for the path /later is answered after a while. Who is in is told in one line how it showed the token, and
## what else the request says.

const LIMIT := 240.0

var _server := MioWebSocketMultiplayerPeer.new()
var _token := ""


func _initialize() -> void:
	begin(LIMIT)
	_token = argument("token")
	_server.tls_certificate_chain = argument("chain")
	_server.tls_private_key = argument("key")
	_server.admission_callback = _judge
	_server.peer_connected.connect(_on_joined)
	if equal("create_server", _server.create_server(0, "127.0.0.1"), OK) and publish(_server.get_local_port()):
		await until(_serve, LIMIT)
	_server.close()
	var stats := _server.get_stats()
	check("some were let in and some rejected", stats.joined > 0 and stats.refused_admission > 0, stats)
	end()


## One frame's work. Whether the server is to end.
func _serve() -> bool:
	_server.poll()
	return not is_wanted()


func _judge(request: MioWebSocketRequest) -> void:
	var way := _way(request)
	if request.get_path() == "/later":
		await create_timer(0.2).timeout
	if way.is_empty():
		request.reject(401, "who are you?")
		return
	request.set_meta("way", way)
	request.accept(["X-Way: " + way], "game" if request.get_protocols().has("game") else "")


func _way(request: MioWebSocketRequest) -> String:
	if request.get_header("Authorization") == "Bearer " + _token:
		return "header"
	if request.get_query().get("token") == _token:
		return "query"
	if request.get_cookies().get("session") == _token:
		return "cookie"
	return "protocol" if request.get_protocols().has("token." + _token) else ""


func _on_joined(id: int) -> void:
	var request: MioWebSocketRequest = _server.get_peer_request(id)
	var facts := [
		request.get_meta("way"), request.get_path(), request.get_origin(), request.get_tls_version(),
		request.get_server_name(),
	]
	_server.set_target_peer(id)
	_server.put_packet(" ".join(facts.map(func(fact: String) -> String: return "-" if fact.is_empty() else fact)).to_utf8_buffer())

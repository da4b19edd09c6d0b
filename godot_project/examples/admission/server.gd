extends Node
## A server that lets in whom it knows, in the two ways that games have.
##
## godot --headless --path godot_project res://examples/admission/server.tscn -- --port=9080 --secret=SECRET
##
## At once: with a ticket in the query of the URL, `ws://…/?ticket=…`, that a matchmaker has made (tickets.gd). Every
## client can bring one, also a page in a browser.
##
## Later: with a session of the game's web site, in the cookie `session`, or from a client that is no browser in the header
## `Authorization: Bearer …`. The server asks the site who that is, by HTTP at --accounts with the same header; its answer
## is the name. The client waits meanwhile, and everybody else plays on.
##
## Arguments: --port, --bind, --secret, --accounts (URL; without it only tickets count), --origin (the site's, such as
## https://example.com: browsers send cookies from every page, so only pages of this origin may come).

const Greeting := preload("res://examples/admission/greeting.gd")
const Tickets := preload("res://examples/admission/tickets.gd")
const Arguments := preload("res://examples/arguments.gd")

## Below handshake_timeout, which is 3 seconds: so each client gets an answer.
const ACCOUNTS_TIMEOUT := 2.0

var _peer := MioWebSocketMultiplayerPeer.new()
var _accounts := Arguments.text("accounts", "")
var _tickets: Tickets
@onready var _greeting: Greeting = $Greeting


func _ready() -> void:
	var secret := Arguments.text("secret", "")
	# Who knows the secret can come as anybody, so there is none by default.
	if secret.is_empty():
		secret = Crypto.new().generate_random_bytes(32).hex_encode()
	_tickets = Tickets.with_secret(secret)
	_peer.admission_callback = _on_request
	var origin := Arguments.text("origin", "")
	if not origin.is_empty():
		_peer.allowed_origins = [origin]
	var error := _peer.create_server(int(Arguments.text("port", "9080")), Arguments.text("bind", "*"))
	if error != OK:
		push_error("Cannot listen: %s." % error_string(error))
		get_tree().quit(1)
		return
	multiplayer.multiplayer_peer = _peer
	multiplayer.peer_connected.connect(_on_joined)
	multiplayer.peer_disconnected.connect(func(id: int) -> void: print("%d left." % id))
	print("Listening on port %d." % _peer.get_local_port())


func _on_request(request: MioWebSocketRequest) -> void:
	var ticket: String = request.get_query().get("ticket", "")
	if not ticket.is_empty():
		_answer(request, _tickets.redeem(ticket))
		return
	var session: String = request.get_cookies().get("session", "")
	if session.is_empty():
		session = request.get_header("Authorization").trim_prefix("Bearer ")
	if session.is_empty() or _accounts.is_empty():
		request.reject(401, "A ticket or a session is needed.")
		return
	# The client may have left when the site answers. Then the answer does nothing.
	_answer(request, await _ask_accounts(session))


func _answer(request: MioWebSocketRequest, user: String) -> void:
	if user.is_empty():
		request.reject(403, "Not known here, or not any more.")
		return
	# Who that is can be asked for as long as the player is connected.
	request.set_meta("user", user)
	request.accept()


## Whose session it is; empty for one that the site does not know, or if the site does not answer.
func _ask_accounts(session: String) -> String:
	var http := HTTPRequest.new()
	http.timeout = ACCOUNTS_TIMEOUT
	add_child(http)
	var user := ""
	if http.request(_accounts, ["Authorization: Bearer " + session]) == OK:
		# The result, the HTTP status, the headers and the body.
		var answer: Array = await http.request_completed
		if answer[0] == HTTPRequest.RESULT_SUCCESS and answer[1] == HTTPClient.RESPONSE_OK:
			var body: PackedByteArray = answer[3]
			user = body.get_string_from_utf8().strip_edges()
	http.queue_free()
	return user


func _on_joined(id: int) -> void:
	var user: String = _peer.get_peer_request(id).get_meta("user")
	print("%s joined." % user)
	_greeting.greet.rpc_id(id, user)

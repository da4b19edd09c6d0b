extends Node
## A client that shows who it is, and says what became of it.
##
## godot --headless --path godot_project res://examples/admission/client.tscn -- --url=ws://127.0.0.1:9080 --ticket=…
##
## Arguments: --url, and --ticket, or --session, or --user and --secret to make a ticket, which in a game is the
## matchmaker's work.

const Greeting := preload("res://examples/admission/greeting.gd")
const Tickets := preload("res://examples/admission/tickets.gd")
const Arguments := preload("res://examples/arguments.gd")

var _peer := MioWebSocketMultiplayerPeer.new()
@onready var _greeting: Greeting = $Greeting


func _ready() -> void:
	_greeting.greeted.connect(_on_greeted)
	multiplayer.connection_failed.connect(_on_failed)
	var url := Arguments.text("url", "ws://127.0.0.1:9080")
	var ticket := Arguments.text("ticket", "")
	var secret := Arguments.text("secret", "")
	if not secret.is_empty():
		ticket = Tickets.with_secret(secret).make(Arguments.text("user", "Ann"), 30)
	if not ticket.is_empty():
		url += "/?ticket=" + ticket.uri_encode()
	var session := Arguments.text("session", "")
	if not session.is_empty():
		_peer.handshake_headers = ["Authorization: Bearer " + session]
	if _peer.create_client(url) != OK:
		get_tree().quit(1)
		return
	multiplayer.multiplayer_peer = _peer


func _on_greeted(user: String) -> void:
	print("In as %s." % user)
	get_tree().quit()


func _on_failed() -> void:
	var error := _peer.get_connection_error()
	print("Not let in: %d %s" % [error.get("status", 0), error.get("body", "")])
	get_tree().quit()

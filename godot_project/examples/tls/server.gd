extends Node
## A server that speaks TLS, and takes a renewed certificate without a restart.
##
## godot --headless --path godot_project res://examples/tls/server.tscn -- --port=9443 \
##   --certificate=/srv/game/fullchain.pem --key=/srv/game/privkey.pem
##
## Whatever renews the certificate, certbot for example, puts the new files in place of the old ones. Who comes from then
## on gets the new certificate; who plays does not notice. Files that are half written, or do not belong together, change
## nothing.
##
## Arguments: --port, --bind, --certificate (with its intermediates behind it), --key, --look (seconds between two looks at
## the files).

const Arguments := preload("res://examples/arguments.gd")

var _peer := MioWebSocketMultiplayerPeer.new()


func _ready() -> void:
	_peer.tls_certificate_chain = Arguments.text("certificate", "user://fullchain.pem")
	_peer.tls_private_key = Arguments.text("key", "user://privkey.pem")
	_peer.tls_reload_interval = float(Arguments.text("look", "60"))
	var error := _peer.create_server(int(Arguments.text("port", "9443")), Arguments.text("bind", "*"))
	if error != OK:
		# What is wrong with a certificate or key is in the line before this one.
		push_error("Cannot listen: %s." % error_string(error))
		get_tree().quit(1)
		return
	multiplayer.multiplayer_peer = _peer
	multiplayer.peer_connected.connect(func(id: int) -> void: print("%d joined." % id))
	multiplayer.peer_disconnected.connect(func(id: int) -> void: print("%d left." % id))
	print("Listening on port %d." % _peer.get_local_port())

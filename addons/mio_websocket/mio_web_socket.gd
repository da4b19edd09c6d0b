class_name MioWebSocket
extends RefCounted
## Makes a WebSocket peer on every platform: Mio WebSocket's where its library is there, the engine's
## own elsewhere.
##
## Web exports, and platforms that the addon has no library for, lack [code]MioWebSocketMultiplayerPeer[/code];
## a script that names that class does not even load there. Both classes have the same methods and
## speak the same protocol, so a game that makes its peer here runs everywhere:
## [codeblock]
## var peer := MioWebSocket.create_peer()
## var error: Error = peer.call(&"create_client", "ws://127.0.0.1:9080")
## if error == OK:
##     multiplayer.multiplayer_peer = peer
## [/codeblock]
## What only one of the classes has is asked for by name:
## [codeblock]
## if peer.has_method(&"get_stats"):
##     print(peer.call(&"get_stats"))
## [/codeblock]

const _OURS := &"MioWebSocketMultiplayerPeer"
const _BUILT_IN := &"WebSocketMultiplayerPeer"


## A new [code]MioWebSocketMultiplayerPeer[/code] where [method is_native], else a new
## [WebSocketMultiplayerPeer]. The former are for the main thread: on any other this is an error, and [code]null[/code].
static func create_peer() -> MultiplayerPeer:
	if is_native() and OS.get_thread_caller_id() != OS.get_main_thread_id():
		push_error("MioWebSocket.create_peer() has to be called on the main thread")
		return null
	return ClassDB.instantiate(_OURS if is_native() else _BUILT_IN)


## Whether the addon's library is loaded, so that [method create_peer] makes a peer of it.
static func is_native() -> bool:
	return ClassDB.class_exists(_OURS)

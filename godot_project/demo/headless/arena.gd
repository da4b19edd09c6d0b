extends Node
## The stage, the same on the server and on every client: introductions, chat, players.
##
## Only what the players can do is here; who does what when is in server.gd and client.gd.

const Player := preload("res://demo/headless/player.gd")

const MODES: PackedStringArray = ["reliable", "unreliable", "unreliable_ordered"]

## Something worth a line in the log.
signal happened(text: String)
## Server: peer `id` told its name.
signal introduced(id: int)

## How this process presents itself to others: {name, role, peer_class}.
var me := {}
## The others that are here, by peer id, each {name, role, peer_class}.
var people := {}
## Everybody who ever was here, by name, the same dictionaries.
var ever := {}
## Names of those who went away.
var gone := {}
## Name -> {mode: text}: what that person said to all.
var heard := {}
## Name -> text: what that person said to this process alone.
var whispers := {}
## Name -> how often that person cheered; one's own cheer comes back by call_local.
var cheers := {}
## Server: peer id -> {report: true}.
var reports := {}
## The server's stage direction: "", "chat", "leave", "kick" or "end".
var scene := ""
## How many players the server expects.
var expected := 0
## Why the server throws this client out.
var kick_reason := ""

var players: Node
var spawner: MultiplayerSpawner


func _init() -> void:
	# RPCs and spawns find their node by path, so every process needs the same names.
	name = "Arena"
	players = Node.new()
	players.name = "Players"
	add_child(players)
	spawner = MultiplayerSpawner.new()
	spawner.name = "Spawner"
	spawner.spawn_function = _spawn_player
	spawner.spawn_path = ^"../Players"
	add_child(spawner)


func _ready() -> void:
	multiplayer.peer_connected.connect(_on_peer_connected)
	multiplayer.peer_disconnected.connect(_on_peer_disconnected)


func id_of(who: String) -> int:
	for id: int in people:
		if people[id].name == who:
			return id
	return 0


func player_of(id: int) -> Player:
	return players.get_node_or_null(str(id)) as Player


func names_here() -> PackedStringArray:
	var names := PackedStringArray()
	for id: int in people:
		if id != 1:
			names.append(people[id].name)
	names.sort()
	return names


func names_with_role(role: String) -> PackedStringArray:
	var names := PackedStringArray()
	for who: String in ever:
		if ever[who].role == role:
			names.append(who)
	names.sort()
	return names


## Says a line to everybody, once in each transfer mode.
func talk() -> void:
	say_reliable.rpc("hello from %s" % me.name)
	say_unreliable.rpc("nice weather, says %s" % me.name)
	say_ordered.rpc("shall we play, asks %s" % me.name)


@rpc("any_peer", "call_remote", "reliable")
func introduce(info: Dictionary) -> void:
	var id := multiplayer.get_remote_sender_id()
	people[id] = info
	ever[info.name] = info
	happened.emit("meets %s (%s)" % [info.name, info.peer_class])
	introduced.emit(id)


@rpc("any_peer", "call_remote", "reliable")
func say_reliable(text: String) -> void:
	_hear("reliable", text)


@rpc("any_peer", "call_remote", "unreliable")
func say_unreliable(text: String) -> void:
	_hear("unreliable", text)


@rpc("any_peer", "call_remote", "unreliable_ordered", 2)
func say_ordered(text: String) -> void:
	_hear("unreliable_ordered", text)


@rpc("any_peer", "call_remote", "reliable")
func whisper(text: String) -> void:
	var who := _sender()
	whispers[who] = text
	happened.emit("hears %s whisper: %s" % [who, text])


@rpc("any_peer", "call_local", "reliable")
func cheer() -> void:
	var who := _sender()
	cheers[who] = cheers.get(who, 0) + 1


@rpc("any_peer", "call_remote", "reliable")
func report(what: String) -> void:
	reports.get_or_add(multiplayer.get_remote_sender_id(), {})[what] = true


@rpc("authority", "call_remote", "reliable")
func welcome(player_count: int) -> void:
	expected = player_count


@rpc("authority", "call_local", "reliable")
func set_scene(title: String) -> void:
	scene = title


@rpc("authority", "call_remote", "reliable")
func will_kick(reason: String) -> void:
	kick_reason = reason
	happened.emit("is told: %s" % reason)


func _sender() -> String:
	var id := multiplayer.get_remote_sender_id()
	return me.name if id == multiplayer.get_unique_id() else str(people.get(id, {}).get("name", "stranger"))


func _hear(mode: String, text: String) -> void:
	var who := _sender()
	var said: Dictionary = heard.get_or_add(who, {})
	said[mode] = text
	# One line per speaker, not one per mode.
	if said.size() == MODES.size():
		happened.emit("hears %s in all modes: %s" % [who, text])


func _spawn_player(data: Array) -> Node:
	return Player.create(data[0], data[1])


func _on_peer_connected(id: int) -> void:
	introduce.rpc_id(id, me)


func _on_peer_disconnected(id: int) -> void:
	var who := str(people.get(id, {}).get("name", "stranger"))
	people.erase(id)
	gone[who] = true
	happened.emit("sees %s go" % who)
	if multiplayer.is_server():
		var player := player_of(id)
		if player != null:
			player.queue_free()

extends Node2D
## One player: the client that owns it moves it, everyone else sees it move.

const RADIUS := 100.0

var who := ""
## How often the position changed; on a puppet this counts what arrived from its owner.
var moves := 0

var _age := 0.0
var _last := Vector2.INF


static func create(id: int, player_name: String) -> Node2D:
	var player: Node2D = new()
	player.name = str(id)
	player.who = player_name
	var config := SceneReplicationConfig.new()
	config.add_property(^".:position")
	var synchronizer := MultiplayerSynchronizer.new()
	synchronizer.name = "Synchronizer"
	synchronizer.replication_config = config
	player.add_child(synchronizer)
	# Recursive: the owner's synchronizer sends, through the server's relay, to all others.
	player.set_multiplayer_authority(id)
	return player


func _process(delta: float) -> void:
	if is_multiplayer_authority():
		_age += delta
		position = RADIUS * Vector2.from_angle(2.0 * _age)
	if position != _last:
		_last = position
		moves += 1

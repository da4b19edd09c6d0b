extends Node
## Where everything starts: a menu, or what the command line asks for.
##
## godot --path godot_project                                           the game
## godot --headless --path godot_project -- --server --port 9080        a server
## godot --headless --path godot_project -- --bot --url ws://127.0.0.1:9080 --count 20 --seconds 60
##
## With --check, servers and bots play by a plan and end with PASS or FAIL: `cargo xtask demo`.


func _ready() -> void:
	add_child(_part(CommandLine.new()))


func _part(arguments: CommandLine) -> Node:
	if arguments.has("server"):
		if arguments.has("check"):
			return CheckedServer.new(arguments)
		return DedicatedServer.new(arguments)
	if arguments.has("bot"):
		if arguments.has("check"):
			return CheckedBot.new(arguments)
		return BotProcess.new(arguments)
	return Game.new()

class_name BotProcess
extends Node
## Bots without a window: --url URL, --name NAME, --count N, --seconds N.

const FRAMES_PER_SECOND := 60

var _arguments: CommandLine


func _init(arguments: CommandLine) -> void:
	_arguments = arguments


func _ready() -> void:
	Engine.max_fps = FRAMES_PER_SECOND
	var crowd := Crowd.new()
	crowd.added.connect(_watch)
	add_child(crowd)
	var url := _arguments.text("url", "ws://127.0.0.1:%d" % Rules.PORT)
	crowd.join(url, int(_arguments.number("count", 1.0)), _arguments.text("name", ""))
	await get_tree().create_timer(_arguments.number("seconds", 60.0)).timeout
	get_tree().quit()


func _watch(session: Session) -> void:
	session.changed.connect(func() -> void:
		var state: String = Session.State.find_key(session.state)
		print("%s %s" % [state.to_lower(), session.reason]))

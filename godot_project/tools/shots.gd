extends SceneTree
## Plays the game by itself and keeps pictures of it: `cargo xtask demo --shots`.
##
## godot --path godot_project --script res://tools/shots.gd -- --folder PATH --url URL --players N
##
## At the URL there is a match of N - 1 bots.

const PORT := 9380
## Curves of so many seconds.
const OVERLAY_SECONDS := 30.0

var _arguments := CommandLine.new()
var _game := Game.new()


func _initialize() -> void:
	root.add_child(_game)
	_play()


func _play() -> void:
	await _wait(1.0)
	_fill_menu()
	await _keep("menu")

	_game.join("ws://127.0.0.1:%d" % (PORT + 9), "Robin")
	await _until(func() -> bool: return _game.session.state == Session.State.OUT)
	await _keep("menu_failed")

	await _play_as_guest()
	await _play_as_host()
	await _lose_connections()
	quit()


func _play_as_guest() -> void:
	var players := int(_arguments.number("players", 31.0))
	_game.join(_arguments.text("url", ""), "Robin")
	await _until(func() -> bool: return _game.session.room.world.players.size() == players)
	_play_along()
	await _wait(OVERLAY_SECONDS)
	await _keep("match")
	_game.screen.overlay.visible = true
	await _wait(2.0)
	await _keep("overlay")
	_game.show_menu("")


func _play_as_host() -> void:
	_game.host(PORT, "Robin", 8)
	_play_along()
	await _until(func() -> bool: return _game.session.room.world.players.size() == 9)
	await _wait(4.0)
	await _keep("host")
	_game.show_menu("")


func _lose_connections() -> void:
	var server := Session.new()
	root.add_child(server)
	server.host(PORT + 3, "")
	var crowd := Crowd.new()
	root.add_child(crowd)
	crowd.join("ws://127.0.0.1:%d" % (PORT + 3), 11)
	_game.join("ws://127.0.0.1:%d" % (PORT + 3), "Robin")
	await _until(func() -> bool: return _game.session.room.me() != null)
	_play_along()
	await _until(func() -> bool: return server.room.world.players.size() == 12)
	await _wait(6.0)
	server.kick(_game.session.room.my_id(), "the host wants you to leave")
	await _until(func() -> bool: return _game.session.state == Session.State.OUT)
	await _keep("kicked")
	_game.session.retry()
	await _until(func() -> bool: return _game.session.room.me() != null)
	await _wait(4.0)
	server.leave()
	await _until(func() -> bool: return _game.session.state == Session.State.WAITING)
	await _until(func() -> bool: return _game.session.seconds_to_wait() > 2.0)
	await _keep("reconnect")
	crowd.queue_free()
	server.queue_free()


## The player must not stand still on the picture.
func _play_along() -> void:
	_game.session.add_child(Bot.new(_game.session))


func _fill_menu() -> void:
	_game.menu.set_title("Robin")


func _wait(seconds: float) -> void:
	await create_timer(seconds).timeout


func _until(condition: Callable) -> void:
	while not condition.call():
		await process_frame


func _keep(title: String) -> void:
	await RenderingServer.frame_post_draw
	var path := _arguments.text("folder", "user://").path_join(title + ".png")
	root.get_texture().get_image().save_png(path)
	print("picture %s" % path)

@tool
extends VBoxContainer
## The "WebSocket" tab of a debugger session: connections, traffic and refusals of one peer of the game, and
## ends of connections of all.

const Plot := preload("plot.gd")
const Reporter := preload("reporter.gd")

## Titles of columns, with the widths that their texts need.
const CONNECTION_COLUMNS: Dictionary = {
	"Peer": 130,
	"Address": 140,
	"Round trip": 80,
	"Jitter": 70,
	"In": 90,
	"Out": 90,
	"Queued": 70,
	"Connected": 80,
}
const CLOSE_COLUMNS: Dictionary = {
	"Time": 80,
	"Peer": 130,
	"Code": 60,
	"Reason": 240,
	"Clean": 60,
	"At": 140,
}
const COUNT_COLUMNS: Dictionary = {"Since the start": 260, "Count": 80}
## What is listed of the counts of a peer, and what it is called here.
const COUNTS: Dictionary = {
	accepted = "TCP connections accepted",
	joined = "joined",
	pending_handshakes = "handshakes under way",
	refused_full = "refused: full",
	refused_draining = "refused: draining",
	refused_rate = "refused: too often",
	refused_proxy = "refused: PROXY header",
	refused_path = "refused: path",
	refused_origin = "refused: origin",
	refused_admission = "refused: by admission_callback",
	refused_request = "refused: bad request",
	failed_tls = "failed in TLS",
	handshake_timeouts = "took too long",
	handshakes_displaced = "displaced by newer ones",
	accept_errors = "no descriptors left",
	packets_refused = "packets refused for want of room",
	packets_dropped = "stale packets dropped",
	closed_too_big = "closed: packet too big",
	closed_fragments = "closed: too many fragments",
	closed_rate = "closed: sent too much",
	closed_protocol = "closed: broke the protocol",
	closed_overflow = "closed: read too slowly",
	closed_memory = "closed: memory limit",
}
const MOST_CLOSES := 500

const BLUE := Color("4aa3ff")
const ORANGE := Color("ff9f43")
const GREEN := Color("3ecf8e")
const PURPLE := Color("b58cff")

var _chooser := OptionButton.new()
var _summary := Label.new()
var _connections := Tree.new()
var _closes := Tree.new()
var _counts := Tree.new()
var _traffic := Plot.new("Traffic", ["in", "out"], [BLUE, ORANGE])
var _rtt := Plot.new("Round trip", ["mean", "worst"], [GREEN, PURPLE])
var _players := Plot.new("Connections", ["now"], [BLUE])
## The rows of lists that are shown anew twice a second: those that stay keep their selection.
var _connection_rows: Dictionary = {}
var _count_rows: Dictionary = {}
## The numbers of the last snapshot, by peer and then by connection, for what has changed since.
var _before: Dictionary = {}
var _before_total: Dictionary = {}
var _last_time := 0


func _init() -> void:
	size_flags_vertical = Control.SIZE_EXPAND_FILL
	var top := HBoxContainer.new()
	_chooser.tooltip_text = "The peers of the running game"
	top.add_child(_chooser)
	_summary.size_flags_horizontal = Control.SIZE_EXPAND_FILL
	_summary.text_overrun_behavior = TextServer.OVERRUN_TRIM_ELLIPSIS
	top.add_child(_summary)
	add_child(top)

	_traffic.format = func(value: float) -> String: return "%s/s" % String.humanize_size(int(value))
	_rtt.format = func(value: float) -> String: return "%.1f ms" % (value * 1000.0)
	_set_up(_connections, "Connections", CONNECTION_COLUMNS)
	_set_up(_closes, "Closed", CLOSE_COLUMNS)
	_set_up(_counts, "Handshakes", COUNT_COLUMNS)

	var left := TabContainer.new()
	left.size_flags_horizontal = Control.SIZE_EXPAND_FILL
	left.size_flags_stretch_ratio = 2.0
	left.add_child(_connections)
	left.add_child(_closes)
	left.add_child(_counts)
	var right := VBoxContainer.new()
	right.size_flags_horizontal = Control.SIZE_EXPAND_FILL
	right.add_child(_traffic)
	right.add_child(_rtt)
	right.add_child(_players)
	var split := HSplitContainer.new()
	split.size_flags_vertical = Control.SIZE_EXPAND_FILL
	split.add_child(left)
	split.add_child(right)
	add_child(split)
	_chooser.item_selected.connect(func(_index: int) -> void: _forget_peer())
	clear()


## Forgets the game that was shown.
func clear() -> void:
	_chooser.clear()
	_before.clear()
	_before_total.clear()
	_last_time = 0
	_closes.clear()
	_closes.create_item()
	_forget_peer()


## Shows what the game has reported.
func show_snapshot(snapshot: Dictionary) -> void:
	var peers: Array = snapshot.get("peers", [])
	_offer(peers)
	# The game's clock: what it reports may come in bursts.
	var now: int = snapshot.get("time", 0)
	var seconds := (now - _last_time) / 1000.0 if _last_time > 0 else Reporter.INTERVAL
	_last_time = now
	for end: Dictionary in snapshot.get("closes", []):
		_add_close(end)
	var shown: Dictionary = {}
	for peer: Dictionary in peers:
		if peer.get("key", 0) == _chosen():
			shown = peer
	if not shown.is_empty():
		_show_peer(shown, maxf(seconds, 0.001))


func _show_peer(peer: Dictionary, seconds: float) -> void:
	var key: int = peer.key
	var stats: Dictionary = peer.get("stats", {})
	var connections: Array = peer.get("connections", [])
	var count: int = peer.get("count", connections.size())
	_summary.text = "%d connections, %d joined, %s queued" % [
		count, stats.get("joined", 0), String.humanize_size(int(stats.get("queued_bytes", 0)))
	]
	if count > connections.size():
		_summary.text += ", the first %d are listed" % connections.size()

	var before: Dictionary = _before.get(key, {})
	var now: Dictionary = {}
	var sum_rtt := 0.0
	var worst_rtt := 0.0
	var measured := 0
	for connection: Dictionary in connections:
		var id: int = connection.get("id", 0)
		var earlier: Dictionary = before.get(id, {})
		now[id] = connection
		var rtt: float = connection.get("rtt", -1.0)
		if rtt >= 0.0:
			sum_rtt += rtt
			worst_rtt = maxf(worst_rtt, rtt)
			measured += 1
		if not _connection_rows.has(id):
			_connection_rows[id] = _connections.create_item(_connections.get_root())
		_set_texts(_connection_rows[id], [
			str(id),
			str(connection.get("address", "")),
			_milliseconds(rtt),
			_milliseconds(connection.get("rtt_jitter", -1.0) as float),
			_rate(connection, earlier, "wire_bytes_received", seconds),
			_rate(connection, earlier, "wire_bytes_sent", seconds),
			String.humanize_size(int(connection.get("queued_bytes", 0))),
			"%d s" % int(connection.get("connected_seconds", 0.0)),
		])
	for id: int in _connection_rows.keys():
		if not now.has(id):
			_connection_rows[id].free()
			_connection_rows.erase(id)
	_before[key] = now

	var earlier_total: Dictionary = _before_total.get(key, {})
	if not earlier_total.is_empty():
		_traffic.add([
			_change(stats, earlier_total, "wire_bytes_received") / seconds,
			_change(stats, earlier_total, "wire_bytes_sent") / seconds,
		])
	_before_total[key] = stats
	_rtt.add([sum_rtt / measured if measured > 0 else 0.0, worst_rtt])
	_players.add([count])

	for count_name: String in COUNTS:
		if stats.get(count_name, 0) != 0 and not _count_rows.has(count_name):
			_count_rows[count_name] = _counts.create_item(_counts.get_root())
	for count_name: String in _count_rows:
		_set_texts(_count_rows[count_name], [COUNTS[count_name], str(stats.get(count_name, 0))])


func _add_close(end: Dictionary) -> void:
	var root := _closes.get_root()
	_set_texts(_closes.create_item(root, 0), [
		Time.get_time_string_from_system(),
		str(end.get("id", 0)),
		str(end.get("code", 0)),
		str(end.get("reason", "")),
		"yes" if end.get("was_clean", false) else "no",
		str(end.get("at", "")),
	])
	while root.get_child_count() > MOST_CLOSES:
		root.get_child(-1).free()


## Keeps the list of peers as the game has them.
func _offer(peers: Array) -> void:
	var wanted := _chosen()
	# By their keys, too: a server that starts anew may have the title of the one before.
	var offered: Array = peers.map(func(peer: Dictionary) -> Array: return [peer.get("key", 0), peer.get("title", "")])
	var present: Array = range(_chooser.item_count).map(
		func(index: int) -> Array: return [_chooser.get_item_metadata(index), _chooser.get_item_text(index)]
	)
	if offered == present:
		return
	_chooser.clear()
	for peer: Dictionary in peers:
		_chooser.add_item(peer.get("title", "") as String)
		_chooser.set_item_metadata(-1, peer.get("key", 0))
		if peer.get("key", 0) == wanted:
			_chooser.select(_chooser.item_count - 1)
	if _chosen() != wanted:
		_forget_peer()


func _chosen() -> int:
	return 0 if _chooser.selected < 0 else _chooser.get_selected_metadata()


## Empties what belongs to one peer.
func _forget_peer() -> void:
	_summary.text = "No peer of this addon in the running game" if _chosen() == 0 else ""
	for tree: Tree in [_connections, _counts]:
		tree.clear()
		tree.create_item()
	_connection_rows.clear()
	_count_rows.clear()
	for plot: Plot in [_traffic, _rtt, _players]:
		plot.clear()


static func _set_up(tree: Tree, title: String, columns: Dictionary) -> void:
	tree.name = title
	tree.columns = columns.size()
	tree.column_titles_visible = true
	tree.hide_root = true
	tree.hide_folding = true
	for column: int in columns.size():
		var head: String = columns.keys()[column]
		var width := int(columns[head] * EditorInterface.get_editor_scale())
		tree.set_column_title(column, head)
		tree.set_column_title_alignment(column, HORIZONTAL_ALIGNMENT_LEFT)
		tree.set_column_custom_minimum_width(column, width)
		# Small numbers: the tree does not share out less room than their sum.
		tree.set_column_expand_ratio(column, ceili(columns[head] / 10.0))
		tree.set_column_clip_content(column, true)


static func _set_texts(item: TreeItem, texts: PackedStringArray) -> void:
	for column: int in texts.size():
		item.set_text(column, texts[column])


static func _milliseconds(seconds: float) -> String:
	return "" if seconds < 0.0 else "%.1f ms" % (seconds * 1000.0)


static func _rate(now: Dictionary, before: Dictionary, count: String, seconds: float) -> String:
	if before.is_empty():
		return ""
	return "%s/s" % String.humanize_size(int(_change(now, before, count) / seconds))


static func _change(now: Dictionary, before: Dictionary, count: String) -> float:
	return maxf(float(now.get(count, 0)) - float(before.get(count, 0)), 0.0)

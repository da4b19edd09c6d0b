extends SceneTree
## Every member that a script can see has a text in the class reference, every link in a text leads somewhere, and the
## defaults that texts and docs/limits.md name are those that a new object has.
##
## The members are those that the engine knows; the texts are read where they are written: the comments `///` of
## rust/godot/src, and `##` of the addon's scripts.

const Harness := preload("res://support/harness.gd")

const SOURCE := "../../rust/godot/src"
const LIMITS := "../../docs/limits.md"
const UNITS: Dictionary[String, float] = {"MiB": 1048576.0, "GiB": 1073741824.0, "ms": 0.001}
## Where the texts of each class are.
const CLASSES: Dictionary[String, String] = {
	MioWebSocketMultiplayerPeer = "multiplayer_peer",
	MioWebSocketPeer = "web_socket_peer.rs",
	MioWebSocketServer = "web_socket_server.rs",
	MioWebSocketRequest = "request.rs",
}
const SCRIPTS: PackedStringArray = [
	"res://addons/mio_websocket/mio_web_socket.gd",
	"res://addons/mio_websocket/mio_web_socket_reconnector.gd",
]
## What is documented like a field of Rust, so that its name is in the text of the struct.
const RUST_ITEM := "^\\s*(?:pub(?:\\(\\w+\\))? )?(?:fn|const|struct)? ?(\\w+)(?:\\(|<|: | \\{)"
const SCRIPT_ITEM := "^(?:static )?(?:class_name|func|signal|var|const|extends) ([a-zA-Z]\\w*)"

var t := Harness.new()
var _globals: Dictionary[String, bool] = {}


func _initialize() -> void:
	t.begin(self)
	if not t.ready():
		return
	for name: String in CLASSES:
		_check_class(name, _texts(_read(CLASSES[name]), "///", RUST_ITEM))
	for path: String in SCRIPTS:
		_check_script(path)
	_check_globals()
	_check_limits()
	t.finish()


func _check_class(name: String, texts: Dictionary) -> void:
	t.check("%s has a text with an example" % name, "```gdscript" in texts.get(name, ""))
	var members := _members(name)
	var properties: Array = members["member"].keys()
	var missing: PackedStringArray = []
	for kind: String in members:
		for member: String in members[kind]:
			var is_accessor := member.substr(4) in properties and (member.begins_with("get_") or member.begins_with("set_"))
			if not member.begins_with("_") and not is_accessor and not texts.has(member):
				missing.append("%s %s" % [kind, member])
	t.check("every member of %s has a text" % name, missing.is_empty(), missing)
	t.check("%s has members" % name, members.method.size() > 5)
	_check_links(name, members, texts)
	_check_defaults(name, properties, texts)


## What a text names as the default.
func _check_defaults(name: String, properties: Array, texts: Dictionary) -> void:
	var named := RegEx.create_from_string("Default: (?:\\[constant (\\w+)\\]|`(true|false)`|(none|empty)|([\\d.]*\\d))")
	var object: Object = ClassDB.instantiate(name)
	var count := 0
	for property: String in properties:
		var found := named.search(" ".join(texts.get(property, "").split("\n")))
		t.check("%s.%s: the default can be read" % [name, property], found or not "Default:" in texts.get(property, ""))
		if not found:
			continue
		count += 1
		var value: Variant = object.get(property)
		var is_so := false
		if found.get_string(1):
			is_so = value == ClassDB.class_get_integer_constant(name, found.get_string(1))
		elif found.get_string(2):
			is_so = value == (found.get_string(2) == "true")
		elif found.get_string(3):
			is_so = value.is_empty()
		else:
			is_so = absf(value - float(found.get_string(4))) < 1e-9
		t.check("%s.%s: %s, it is %s" % [name, property, found.get_string(), value], is_so)
	t.check("%s names defaults" % name, count > 0 or properties.is_empty())
	if not object is RefCounted:
		object.free()


## The tables of docs/limits.md: `property`, `another` | default, another.
func _check_limits() -> void:
	var row := RegEx.create_from_string("(?m)^\\| (`[^|]*) \\| (\\d[^|]*) \\|")
	var property := RegEx.create_from_string("`(\\w+)`")
	var number := RegEx.create_from_string("(\\d+(?:\\.\\d+)?)(?: (MiB|GiB|ms))?")
	var peer := MioWebSocketMultiplayerPeer.new()
	var count := 0
	for found: RegExMatch in row.search_all(FileAccess.get_file_as_string(_path(LIMITS))):
		var properties := property.search_all(found.get_string(1))
		var numbers := number.search_all(found.get_string(2))
		t.check("docs/limits.md names a default for each: %s" % found.get_string(), numbers.size() >= properties.size())
		for index: int in properties.size():
			var name := properties[index].get_string(1)
			var unit: float = UNITS.get(numbers[index].get_string(2), 1.0)
			var value: float = peer.get(name)
			count += 1
			t.check("docs/limits.md: %s, it is %s" % [found.get_string(), value],
					absf(value - float(numbers[index].get_string(1)) * unit) < 1e-9)
	t.check("docs/limits.md names limits", count > 8, count)


func _check_script(path: String) -> void:
	var script: GDScript = load(path)
	var source := script.source_code
	var name := String(script.get_global_name())
	var texts := _texts(source, "##", SCRIPT_ITEM)
	# The text of the class is below its head.
	texts[name] = texts.get("", "")
	t.check("%s has a text with an example" % name, "[codeblock]" in texts[name])
	var members := {"method": {}, "member": {}, "signal": {}, "constant": {}}
	var public := func(all: Array) -> Array: return all.filter(
		func(item: Dictionary) -> bool: return not item.name.begins_with("_") and not item.name.ends_with(".gd")
	)
	for item: Dictionary in public.call(script.get_script_method_list()):
		members.method[item.name] = _names(item.args)
	for item: Dictionary in public.call(script.get_script_signal_list()):
		members["signal"][item.name] = _names(item.args)
	for item: Dictionary in public.call(script.get_script_property_list()):
		members.member[item.name] = []
	var missing: PackedStringArray = []
	for kind: String in members:
		for member: String in members[kind]:
			if not texts.has(member) and not member.begins_with("@"):
				missing.append("%s %s" % [kind, member])
	t.check("every member of %s has a text" % name, missing.is_empty(), missing)
	_check_links(name, members, texts)


## Links to members, parameters and classes.
func _check_links(owner: String, members: Dictionary, texts: Dictionary) -> void:
	var link := RegEx.create_from_string("\\[(method|member|signal|constant|param) ([\\w.@]+)\\]|\\[([A-Z]\\w+)\\]")
	var lost: PackedStringArray = []
	var count := 0
	for member: String in texts:
		# A comment's lines are one paragraph, and code has brackets of its own.
		for found: RegExMatch in link.search_all(_without_code(texts[member])):
			count += 1
			if not _leads_somewhere(found, owner, member, members):
				lost.append("%s: %s" % [member, found.get_string()])
	t.check("every link of %s leads somewhere" % owner, lost.is_empty(), lost)
	t.check("%s has links" % owner, count > 0)


func _leads_somewhere(link: RegExMatch, owner: String, member: String, members: Dictionary) -> bool:
	var kind := link.get_string(1)
	var target := link.get_string(2)
	match kind:
		"":
			return ClassDB.class_exists(link.get_string(3)) or link.get_string(3) == "Callable"
		"param":
			for each: String in ["method", "signal"]:
				if members[each].has(member):
					return target in members[each][member]
			return false
	if "." in target:
		var parts := target.split(".")
		# In place of a class that a script extends its members would have to be named by their own class.
		return ClassDB.class_exists(parts[0]) and _members(parts[0])[kind].has(parts[1])
	if members[kind].has(target):
		return true
	if kind == "constant":
		_globals[target] = true
		return true
	return member.begins_with("_") and target.begins_with("_") or owner == target


## The constants that are no class's: a script that names them all can be compiled.
func _check_globals() -> void:
	var script := GDScript.new()
	script.source_code = "const ALL := [%s]\n" % ", ".join(_globals.keys())
	t.equal("the engine has the constants %s" % ", ".join(_globals.keys()), script.reload(), OK)


## What a class itself has, by kind and name, with the names of arguments.
func _members(name: String) -> Dictionary:
	var members := {"method": {}, "member": {}, "signal": {}, "constant": {}}
	for item: Dictionary in ClassDB.class_get_method_list(name, true):
		members.method[item.name] = _names(item.args)
	for item: Dictionary in ClassDB.class_get_signal_list(name, true):
		members["signal"][item.name] = _names(item.args)
	for item: Dictionary in ClassDB.class_get_property_list(name, true):
		if item.usage & (PROPERTY_USAGE_GROUP | PROPERTY_USAGE_CATEGORY | PROPERTY_USAGE_SUBGROUP) == 0:
			members.member[item.name] = []
	for constant: String in ClassDB.class_get_integer_constant_list(name, true):
		members.constant[constant] = []
	return members


func _names(arguments: Array) -> Array:
	return arguments.map(func(argument: Dictionary) -> String: return argument.name)


## The comments right before items, by the name of the item; one before no item has the name "".
func _texts(source: String, mark: String, pattern: String) -> Dictionary:
	var item := RegEx.create_from_string(pattern)
	var texts := {}
	var text: PackedStringArray = []
	for line: String in source.split("\n"):
		var trimmed := line.strip_edges()
		if trimmed.begins_with(mark):
			text.append(trimmed.trim_prefix(mark).trim_prefix(" "))
			continue
		if trimmed.begins_with("#["):
			continue
		var found := item.search(line)
		var name := found.get_string(1) if found != null else ""
		if not text.is_empty() and not texts.has(name):
			texts[name] = "\n".join(text)
		text.clear()
	return texts


func _without_code(text: String) -> String:
	var block := RegEx.create_from_string("(?s)```.*?```|`[^`]*`|\\[codeblock\\].*?\\[/codeblock\\]|\\[code\\].*?\\[/code\\]")
	return block.sub(text, "", true).replace("\n", " ")


## A file, or all files of a folder.
func _read(place: String) -> String:
	var path := _path(SOURCE.path_join(place))
	if place.ends_with(".rs"):
		return FileAccess.get_file_as_string(path)
	var text := ""
	for file: String in DirAccess.get_files_at(path):
		text += FileAccess.get_file_as_string(path.path_join(file)) + "\n"
	return text


func _path(place: String) -> String:
	return ProjectSettings.globalize_path("res://").path_join(place).simplify_path()

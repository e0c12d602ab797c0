import NIOCore
import TestSupport
import Testing

@testable import RedisClient
@testable import SessionStore

/// A script's text consists of a prologue that names KEYS and ARGV, its file, and parts that
/// several scripts share.
@Suite("The text of the scripts")
struct ScriptTextTests {
    @Test("Arguments get their names in the order of the list")
    func argumentsGetTheirNamesInTheOrderOfTheList() {
        let text = ScriptText.prologue(
            keys: ["state", "events"],
            arguments: [("token", nil), ("lease", "tonumber(lease)"), ("force", "force == '1'")], hasRest: true)
        #expect(
            text == """
                local state, events = unpack(KEYS)
                local token, lease, force = unpack(ARGV, 1, 3)
                lease, force = tonumber(lease), force == '1'
                local rest = 4

                """)
        #expect(ScriptText.prologue(keys: ["state"], arguments: [], hasRest: false) == "local state = unpack(KEYS)\n")
    }

    @Test("The header line stays before the prologue")
    func theFirstLineStaysTheFirst() {
        let file = Array("#!lua flags=no-writes\nreturn token".utf8)
        #expect(ScriptText.assembled(file, prologue: "local token = 1\n") == "#!lua flags=no-writes\nlocal token = 1\nreturn token")
    }

    @Test("A shared part stands where the script names it")
    func aPartStandsWhereItIsNamed() {
        let file = Array("#!lua\nif a then\n  -- uses  clock\nend\n".utf8)
        let lines = ScriptText.assembled(file, prologue: "").split(separator: "\n")
        #expect(lines.prefix(2) == ["#!lua", "if a then"] && lines.last == "end")
        #expect(lines.contains("local time = redis.call('TIME')"))
    }

    /// A part of a part is included, too.
    @Test("A shared part may use other parts")
    func aPartMayUseOthers() {
        let text = ScriptText.assembled(Array("#!lua\n-- uses  closed_calls\n".utf8), prologue: "")
        #expect(text.contains("local function json_string(text)"))
    }

    @Test("A missing part fails")
    func aPartThatDoesNotExistFails() {
        #expect(ScriptText.assembled(Array("#!lua\n-- uses  clok".utf8), prologue: "") == "#!lua\nerror('there is no lib/clok.lua')")
        for script in StoreScripts.all { #expect(!script.text.contains("there is no lib"), "\(script.name)") }
    }

    // MARK: Every script

    private struct Declaration: Sendable {
        var script: RedisScript
        var keys: [String]
        var arguments: [String]

        init<Input>(_ script: StoreScript<Input>) {
            self.script = script.script
            keys = script.keys.map { "\($0)" }
            arguments = script.parameters.map { "\($0.name)" } + (script.rest == nil ? [] : ["rest"])
        }

        /// Returns the lines of the head from the line that begins with `-- TITLE` to the next
        /// empty line.
        func head(_ title: String) -> [Substring] {
            let lines = script.text.split(separator: "\n", omittingEmptySubsequences: false).drop { !$0.hasPrefix("-- \(title)") }
            return Array(lines.prefix { $0 != "--" && $0.hasPrefix("--") })
        }
    }

    private static let declarations = [
        Declaration(StoreScripts.beginStep), Declaration(StoreScripts.appendEvents), Declaration(StoreScripts.logEvents),
        Declaration(StoreScripts.commitStep), Declaration(StoreScripts.takeOver), Declaration(StoreScripts.releaseStep),
        Declaration(StoreScripts.rewind), Declaration(StoreScripts.deleteSession), Declaration(StoreScripts.forgetEntries),
        Declaration(StoreScripts.claimPlace), Declaration(StoreScripts.readState), Declaration(StoreScripts.admit),
        Declaration(StoreScripts.settle),
    ]

    @Test("The heads explain every key and argument")
    func theHeadsExplainEveryKeyAndArgument() {
        #expect(Self.declarations.map(\.script.name).sorted() == StoreScripts.all.map(\.name).sorted())
        for declaration in Self.declarations {
            // Matches `-- ARGV  name   text`, and then a name at the same column of each line that
            // begins another argument.
            let arguments = declaration.head("ARGV").compactMap { line in
                line.firstMatch(of: /^-- (?:ARGV|    )  ([a-z_]+)/).map { String($0.output.1) }
            }
            let expected = declaration.arguments.isEmpty ? ["none"] : declaration.arguments
            #expect(arguments == expected, "\(declaration.script.name)")
            let keys = declaration.head("KEYS").first?.dropFirst(9) ?? ""
            let names = keys.firstMatch(of: /^[a-z_]+(?:, [a-z_]+)*/)?.output.split(separator: ", ").map(String.init) ?? []
            #expect(names == declaration.keys, "\(declaration.script.name)")
            #expect(!declaration.head("Replies").isEmpty, "\(declaration.script.name)")
        }
    }

    @Test("Every argument is used by its name")
    func everyArgumentIsUsedByItsName() {
        for declaration in Self.declarations {
            // The prologue is left out, because it names every argument.
            let lines = declaration.script.text.split(separator: "\n").drop { !$0.hasPrefix("-- ") }
            let uses = Set(LuaNames(lines.joined(separator: "\n")).uses)
            #expect(declaration.arguments.filter { !uses.contains($0) } == [], "\(declaration.script.name)")
            #expect(!declaration.script.text.contains(/ARGV\[[0-9]/), "\(declaration.script.name)")
        }
    }

    /// If a script reads a global that does not exist, Redis reports an error only when it executes
    /// that line.
    @Test("No script uses an undeclared name")
    func noScriptUsesANameThatNothingDeclares() {
        for declaration in Self.declarations {
            #expect(LuaNames(declaration.script.text).undeclared == [], "\(declaration.script.name)")
        }
    }

    @Test("A misspelled name is found")
    func aMisspelledNameIsFound() {
        let text = "local token, lease = unpack(ARGV, 1, 2)\nlocal t = {field = 1}\nreturn tokn .. t.field .. 'leas' -- leas\n"
        #expect(LuaNames(text).undeclared == ["tokn"])
        #expect(LuaNames("local function f(a, ...)\n  for i, b in ipairs(a) do x = i + b end\nend\n").undeclared == ["x"])
    }
}

extension RedisScript {
    fileprivate var text: String { String(buffer: source) }
}

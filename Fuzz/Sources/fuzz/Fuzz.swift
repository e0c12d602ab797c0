import Foundation

/// Tries inputs from outside on the code that parses them.
///
/// - `fuzz [COUNT [SEED]]` tries COUNT mutations of each kind of input, each kind in a child process.
/// - `fuzz child KIND SEED FIRST COUNT FILE` is such a child process.
/// - `fuzz replay KIND SEED NUMBER` tries one mutation again, in this process.
/// - `fuzz input KIND FILE` tries the bytes of a file that libFuzzer has left.
@main
enum Fuzz {
    static func main() throws {
        #if EXPLORE
        explore()
        #else
        let words = CommandLine.arguments.dropFirst()
        switch words.first {
        case "child": try child(Array(words.dropFirst()))
        case "replay": try replay(Array(words.dropFirst()))
        case "input": try input(Array(words.dropFirst()))
        default: try parent(Array(words))
        }
        #endif
    }

    private static func parent(_ words: [String]) throws {
        guard let count = Int(words.first ?? "100000"), count > 0, let seed = UInt64(words.dropFirst().first ?? "1") else {
            throw Usage(description: "usage: fuzz [COUNT [SEED]]")
        }
        let begun = Date()
        let runs = try Kind.allCases.map { try ChildRun(kind: $0, seed: seed, count: count) }
        // The children run in parallel, since nearly every machine has several cores.
        let failures = runs.compactMap { $0.wait() }
        print("\(count) mutations of each kind, seed \(seed): \(Int(Date().timeIntervalSince(begun))) s")
        for failure in failures { print(failure) }
        exit(failures.isEmpty ? 0 : 1)
    }

    private static func child(_ words: [String]) throws {
        guard words.count == 5, let kind = Kind(rawValue: words[0]), let seed = UInt64(words[1]), let first = Int(words[2]),
            let count = Int(words[3])
        else { throw Usage(description: "usage: fuzz child KIND SEED FIRST COUNT FILE") }
        let progress = try Progress(path: words[4])
        let target = try kind.target()
        let mutator = Mutator(kind: kind)
        for number in first..<first + count {
            progress.note(number)
            target.run(mutator.input(seed: seed, number: number))
        }
        print("\(kind.rawValue): \(count) inputs, of which \(target.accepted) were accepted in part")
        // If nearly all inputs were noise, the run would prove nothing.
        hold(count < 1000 || target.accepted > count / 10, "too few of the inputs were accepted")
        leave(target)
    }

    private static func replay(_ words: [String]) throws {
        guard words.count == 3, let kind = Kind(rawValue: words[0]), let seed = UInt64(words[1]), let number = Int(words[2]) else {
            throw Usage(description: "usage: fuzz replay KIND SEED NUMBER")
        }
        let input = Mutator(kind: kind).input(seed: seed, number: number)
        print(String(decoding: input, as: UTF8.self).debugDescription)
        let target = try kind.target()
        target.run(input)
        leave(target)
    }

    private static func input(_ words: [String]) throws {
        guard words.count == 2, let kind = Kind(rawValue: words[0]), let bytes = FileManager.default.contents(atPath: words[1]) else {
            throw Usage(description: "usage: fuzz input KIND FILE")
        }
        let target = try kind.target()
        target.run(Array(bytes))
        leave(target)
    }

    /// Exits without releasing the target. An HTTP client must be shut down before it is released,
    /// and this one has nothing to shut down.
    private static func leave(_ target: any Target) -> Never {
        withExtendedLifetime(target) { exit(0) }
    }
}

struct Usage: Error, CustomStringConvertible {
    var description: String
}

/// A kind of input from outside.
enum Kind: String, CaseIterable {
    case model, request, redis

    func target() throws -> any Target {
        switch self {
        case .model: try ModelAnswers()
        case .request: ClientRequests()
        case .redis: RedisReplies()
        }
    }

    var corpus: [String] {
        switch self {
        case .model: Corpus.answers
        case .request: Corpus.requests
        case .redis: Corpus.replies
        }
    }

    /// Words that the parsers of this input know.
    var words: [String] {
        switch self {
        case .model: Corpus.answerWords
        case .request: Corpus.requestWords
        case .redis: Corpus.replyWords
        }
    }
}

/// The code under test. It must return for every input. Its results are checked only as far as they
/// are known without a second parser.
protocol Target: AnyObject {
    func run(_ input: [UInt8])
    /// The number of inputs of which some part passed the first checks.
    var accepted: Int { get }
}

/// Ends the process if `condition` is false, as a trap in the code under test does.
func hold(_ condition: Bool, _ message: @autoclosure () -> String) {
    if !condition { fatalError(message()) }
}

import LocalDeployment
import Locks

/// The model of a local drill. It completes a message as the message's ``Plan`` demands, at a
/// model's pace, and fails on command. It imitates one of several model servers, and refuses what
/// that server would refuse.
///
/// Every generation has a number, which each of its words holds, so that a text that mixes two
/// generations is detected.
final class DrillModel: Sendable {
    enum Mood: String, Sendable, CaseIterable {
        case well
        /// HTTP 500.
        case broken
        /// HTTP 429.
        case limited
        /// The connection ends in the middle of a response.
        case cutting
        /// The response stops in the middle, and the connection stays open.
        case silent
    }

    private let mood = Guarded(Mood.well)
    private let generations = Guarded(0)
    /// The marks of tenants that generations have seen, by number.
    private let marks = Guarded<[Int: String]>([:])
    private let upstream: Upstream

    var port: Int { upstream.port }
    /// The requests that a model server would have refused.
    var violations: [String] { upstream.violations }
    var generationCount: Int { generations.withLock { $0 } }

    var personality: Personality { upstream.personality }

    static func start(as personality: Personality) async throws -> DrillModel {
        let model = DrillModel(upstream: try await Upstream.start(as: personality, keepsRequests: false))
        model.upstream.answer { [weak model] in model?.answer($0) ?? .error(503, "the drill is over") }
        return model
    }

    private init(upstream: Upstream) {
        self.upstream = upstream
    }

    func set(_ mood: Mood) { self.mood.withLock { $0 = mood } }
    func stop() { upstream.stop() }

    private func answer(_ request: UpstreamRequest) -> UpstreamAnswer {
        let number = generations.withLock { count in
            count += 1
            return count
        }
        if let mark = request.messages.lazy.compactMap({ $0["content"].string?.firstMatch(of: /<[a-z]+>/)?.output }).first {
            marks.withLock { $0[number] = String(mark) }
        }
        let answer = planned(request, number)
        return switch mood.withLock({ $0 }) {
        case .well: answer
        case .broken: .error(500, "the drill breaks the model")
        case .limited: .error(429, "the drill limits the model")
        case .cutting: answer.inserting(.hangUp, after: answer.parts.count / 2)
        case .silent: answer.inserting(.silence, after: answer.parts.count / 2)
        }
    }

    private func planned(_ request: UpstreamRequest, _ number: Int) -> UpstreamAnswer {
        let last = request.messages.lastIndex { $0["role"] == "user" }
        let turn = request.messages[(last ?? request.messages.startIndex)...]
        let plan = turn.first.flatMap { Plan(in: $0["content"].string ?? "") } ?? Plan(rounds: 0, calls: 0, tokens: 5)
        let rounds = turn.count { !$0["tool_calls"].array.isEmpty }
        var completion = ScriptedCompletion()
        if rounds < plan.rounds {
            completion.calls = (0..<plan.calls).map { .init("echo", #"{"n":\#($0)}"#) }
            completion.pauseAfterCalls = .milliseconds(100)
        } else {
            completion.text = (0..<plan.tokens).map { "\(number).\($0) " } + ["\(number).end"]
            completion.pace = .milliseconds(20)
        }
        return personality.answer(completion, to: request)
    }

    /// Returns the mark of the tenant whose messages a generation got; nil if they had none.
    func mark(of generation: Int) -> String? { marks.withLock { $0[generation] } }

    /// Returns the generation that a text names.
    static func generation(of text: String) -> Int? { Int(text.prefix { $0.isNumber }) }

    /// Describes what is wrong with a text of this model.
    ///
    /// - Returns: Nil if nothing is wrong.
    static func fault(in text: String, mayEndEarly: Bool) -> String? {
        let words = text.split(separator: " ").map { $0.split(separator: ".", omittingEmptySubsequences: false) }
        guard let number = words.first?.first, words.allSatisfy({ $0.count == 2 }) else { return "words that the model never said" }
        for (index, word) in words.enumerated() {
            if word[0] != number { return "text of two generations, \(number) and \(word[0])" }
            if word[1] == "end" { return index == words.count - 1 ? nil : "text behind the end" }
            if word[1] != "\(index)" { return "word \(index) is missing" }
        }
        return mayEndEarly ? nil : "the end is missing"
    }
}

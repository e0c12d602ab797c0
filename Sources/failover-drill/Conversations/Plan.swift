import LocalDeployment

/// The completion that the drill's own model gives to a message. The message's text holds the plan.
struct Plan: Sendable, Equatable {
    /// The number of completions with tool calls before the text.
    var rounds: Int
    /// The number of calls in each of them.
    var calls: Int
    /// The number of the text's deltas.
    var tokens: Int

    var text: String { "[rounds \(rounds), calls \(calls), tokens \(tokens)]" }

    static func random(using random: inout SeededGenerator) -> Plan {
        let rounds = Int.random(in: 0...9, using: &random)
        return Plan(
            rounds: rounds < 4 ? 0 : rounds < 8 ? 1 : 2, calls: Int.random(in: 1...3, using: &random),
            tokens: Int.random(in: 5...60, using: &random))
    }

    init(rounds: Int, calls: Int, tokens: Int) {
        (self.rounds, self.calls, self.tokens) = (rounds, calls, tokens)
    }

    init?(in message: String) {
        guard let match = message.firstMatch(of: /\[rounds ([0-9]+), calls ([0-9]+), tokens ([0-9]+)\]/),
            let rounds = Int(match.output.1), let calls = Int(match.output.2), let tokens = Int(match.output.3)
        else { return nil }
        self.init(rounds: rounds, calls: calls, tokens: tokens)
    }
}

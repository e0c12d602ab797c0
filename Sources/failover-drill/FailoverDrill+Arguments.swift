import ArgumentParser
import LocalDeployment

extension FailoverDrill {
    func topology() throws -> RedisUnderTest.Topology {
        guard let topology = RedisUnderTest.Topology(rawValue: redis) else {
            throw ValidationError("--redis must be single, sentinel or cluster")
        }
        return topology
    }

    func kinds() throws -> [FaultKind] {
        guard let faults else { return FaultKind.allCases }
        return try faults.split(separator: ",").map { name in
            guard let kind = FaultKind(rawValue: String(name)) else {
                throw ValidationError(
                    "--faults: \(name) does not exist; the faults are \(FaultKind.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            return kind
        }
    }

    func personality(for seed: UInt64) throws -> Personality {
        guard let personality else { return .picked(by: seed) }
        guard let known = Personality(rawValue: personality) else {
            let names = Personality.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--personality: \(personality) does not exist; the personalities are \(names)")
        }
        return known
    }

    func faultCommands() throws -> [FaultCommand] {
        try commands.map { text in
            guard let command = FaultCommand(text) else { throw ValidationError("--fault must be NAME=COMMAND, not \(text)") }
            return command
        }
    }
}

import NIOCore
import Testing

@testable import LanguageModels

@Suite("Time limits of one response")
struct ResponseClockTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private static func at(_ seconds: Int64) -> NIODeadline { start + .seconds(seconds) }

    private func clock(idle: Int64 = 10, total: Int64 = 100, trailer: Int64 = 2) -> ResponseClock {
        var configuration = UpstreamConfiguration(baseURL: "http://h")
        configuration.idleTimeout = .seconds(idle)
        configuration.totalTimeout = .seconds(total)
        configuration.trailerTimeout = .seconds(trailer)
        return ResponseClock(configuration, started: Self.start)
    }

    @Test("Silence counts from the last part, and the timer that is set finds that out")
    func silence() {
        var clock = clock()
        #expect(clock.firstCheck == Self.at(10))
        #expect(clock.note(.more, at: Self.at(7)) == nil)
        #expect(clock.verdict(at: Self.at(10)) == .wait(until: Self.at(17)))
        #expect(clock.verdict(at: Self.at(17)) == .silent)
    }

    @Test("The whole has a limit of its own, whatever comes")
    func whole() {
        var clock = clock(idle: 60, total: 100)
        #expect(clock.note(.more, at: Self.at(99)) == nil)
        #expect(clock.verdict(at: Self.at(99)) == .wait(until: Self.at(100)))
        #expect(clock.verdict(at: Self.at(100)) == .tooLong)
        #expect(self.clock(idle: 60, total: 5).firstCheck == Self.at(5))
    }

    @Test("A rest that trickles in behind the finish has no longer than one that comes at once")
    func rest() {
        var clock = clock()
        #expect(clock.note(.trailers, at: Self.at(1)) == Self.at(3))
        #expect(clock.note(.trailers, at: Self.at(2)) == nil)
        #expect(clock.verdict(at: Self.at(3)) == .silent)
        // After the end of the stream, a separate deadline applies to the end of the connection.
        #expect(clock.note(.finished, at: Self.at(2)) == Self.at(4))
    }

    @Test("A model that goes on behind a reason to stop has its whole time again")
    func doubt() {
        var clock = clock()
        #expect(clock.note(.trailers, at: Self.at(1)) == Self.at(3))
        #expect(clock.note(.more, at: Self.at(2)) == nil)
        #expect(clock.verdict(at: Self.at(3)) == .wait(until: Self.at(12)))
    }

    @Test("The rest never has longer than silence may take")
    func shortSilence() {
        var clock = clock(idle: 1, trailer: 60)
        #expect(clock.note(.finished, at: Self.at(5)) == Self.at(6))
    }
}

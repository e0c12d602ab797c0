@testable import RedisClient

extension RedisConfiguration.Address {
    static func node(_ number: Int) -> Self { .tcp(host: "n\(number)", port: 7000 + number) }
}

import Hummingbird
import Crypto
import Configuration
import ArgumentParser
@main struct M { static func main() async { print("hi") } }

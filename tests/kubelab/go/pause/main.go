// Pause is process 1 of every pod sandbox, and a small test workload: with
// arguments it becomes an HTTP server, so that one static program is enough for
// every image the lab's own tests need.
//
//	pause                     waits for a signal, reaping orphans
//	pause serve ADDR TEXT     answers every request with TEXT
//	pause print TEXT          prints TEXT and exits
//	pause get URL             prints what a GET answers, exits 1 unless it is 200
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case "serve":
			go serve(os.Args[2], strings.Join(os.Args[3:], " "))
		case "print":
			fmt.Println(strings.Join(os.Args[2:], " "))
			return
		case "get":
			if err := get(os.Args[2]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		}
	}
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if pid <= 0 || err != nil {
				break
			}
		}
	}
}

// serve speaks just enough HTTP by hand: net/http would make the image ten
// times larger, and this program is the root of every pod.
func serve(address, text string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("serving on", listener.Addr())
	for {
		connection, err := listener.Accept()
		if err != nil {
			continue
		}
		go answer(connection, text)
	}
}

func answer(connection net.Conn, text string) {
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	reader := bufio.NewReader(connection)
	request, err := reader.ReadString('\n')
	if err != nil {
		return
	}
	for {
		line, err := reader.ReadString('\n')
		if err != nil || strings.TrimSpace(line) == "" {
			break
		}
	}
	fmt.Println(strings.TrimSpace(request))
	fmt.Fprintf(connection, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n", len(text)+1, text)
}

func get(address string) error {
	target, err := url.Parse(address)
	if err != nil {
		return err
	}
	host := target.Host
	if target.Port() == "" {
		host = net.JoinHostPort(target.Hostname(), "80")
	}
	connection, err := net.DialTimeout("tcp", host, 5*time.Second)
	if err != nil {
		return err
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(connection, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", target.RequestURI(), target.Host)
	reader := bufio.NewReader(connection)
	status, err := reader.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.Contains(status, " 200 ") {
		return fmt.Errorf("%s: %s", address, strings.TrimSpace(status))
	}
	for line := status; strings.TrimSpace(line) != ""; {
		if line, err = reader.ReadString('\n'); err != nil {
			return err
		}
	}
	_, err = io.Copy(os.Stdout, reader)
	return err
}

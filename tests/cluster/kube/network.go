package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

const (
	cniConfigPath = "/etc/cni/net.d/10-node-network.conflist"
	// Routes are put back within this time when something else removed them.
	routeCheckInterval = 30 * time.Second
)

// runNodeNetwork stands in for kindnet, whose image comes from a registry: it writes this node's
// CNI configuration from its podCIDR and keeps a route to the pods of every other node.
func runNodeNetwork() int {
	ctx := genericapiserver.SetupSignalContext()
	if err := nodeNetwork(ctx, os.Getenv("NODE_NAME"), os.Getenv("CONTROL_PLANE_ENDPOINT")); err != nil {
		fmt.Fprintf(os.Stderr, "node-network: %v\n", err)
		return 1
	}
	return 0
}

func nodeNetwork(ctx context.Context, self, endpoint string) error {
	if self == "" {
		return errors.New("NODE_NAME is empty: set it from spec.nodeName")
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	if endpoint != "" { // kube-proxy may need this network before the service address works
		config.Host = "https://" + endpoint
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	changed := make(chan struct{}, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	nodes := factory.Core().V1().Nodes()
	_, err = nodes.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notify() },
		UpdateFunc: func(any, any) { notify() },
		DeleteFunc: func(any) { notify() },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	ticker := time.NewTicker(routeCheckInterval)
	defer ticker.Stop()
	for {
		list, err := nodes.Lister().List(labels.Everything())
		if err != nil {
			return err
		}
		if err := configureNode(self, list); err != nil {
			fmt.Fprintf(os.Stderr, "node-network: %v; trying again\n", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-ticker.C:
		}
	}
}

func configureNode(self string, nodes []*corev1.Node) error {
	var failures []error
	for _, node := range nodes {
		if node.Spec.PodCIDR == "" {
			continue // its own next event brings the range
		}
		if node.Name == self {
			failures = append(failures, writeCNIConfig(cniConfigPath, node.Spec.PodCIDR))
			continue
		}
		failures = append(failures, routeTo(node.Spec.PodCIDR, internalIP(node)))
	}
	return errors.Join(failures...)
}

func internalIP(node *corev1.Node) net.IP {
	for _, address := range node.Status.Addresses {
		if ip := net.ParseIP(address.Address); address.Type == corev1.NodeInternalIP && ip.To4() != nil {
			return ip
		}
	}
	return nil
}

func routeTo(podCIDR string, via net.IP) error {
	if via == nil {
		return nil // its own next event brings the address
	}
	_, destination, err := net.ParseCIDR(podCIDR)
	if err != nil {
		return err
	}
	if err := netlink.RouteReplace(&netlink.Route{Dst: destination, Gw: via}); err != nil {
		return fmt.Errorf("route %s via %s: %w", podCIDR, via, err)
	}
	return nil
}

func cniConfig(podCIDR string) ([]byte, error) {
	type object = map[string]any
	return json.MarshalIndent(object{
		"cniVersion": "0.4.0",
		"name":       "node-network",
		"plugins": []object{
			{
				"type": "ptp",
				"ipam": object{
					"type":    "host-local",
					"dataDir": "/run/cni-ipam-state",
					"routes":  []object{{"dst": "0.0.0.0/0"}},
					"ranges":  [][]object{{{"subnet": podCIDR}}},
				},
			},
			{"type": "portmap", "capabilities": object{"portMappings": true}},
		},
	}, "", "  ")
}

// writeCNIConfig replaces the file in one step: the runtime watches the folder and must not read half.
func writeCNIConfig(path, podCIDR string) error {
	want, err := cniConfig(podCIDR)
	if err != nil {
		return err
	}
	if have, err := os.ReadFile(path); err == nil && string(have) == string(want) {
		return nil
	}
	next := filepath.Join(filepath.Dir(path), ".next")
	if err := os.WriteFile(next, want, 0o644); err != nil {
		return err
	}
	return os.Rename(next, path)
}
